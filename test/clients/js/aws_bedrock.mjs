// A user's program on the AWS SDK for JavaScript v3; its runtime client speaks cleartext HTTP/2 with prior knowledge.
import {
  BedrockClient,
  GetFoundationModelCommand,
  GetInferenceProfileCommand,
  ListFoundationModelsCommand,
  paginateListInferenceProfiles,
} from '@aws-sdk/client-bedrock';
import {
  BedrockRuntimeClient,
  CountTokensCommand,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
} from '@aws-sdk/client-bedrock-runtime';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { converse } from './aws_converse.mjs';
import { main, message, say, weather } from './report.mjs';

const model = 'global.anthropic.claude-opus-4-6-v1:0';
const utf8 = new TextDecoder();
const body = (messages, more) =>
  JSON.stringify({ anthropic_version: 'bedrock-2023-05-31', max_tokens: 256, messages, ...more });

async function invoke(messages, more) {
  const client = new BedrockRuntimeClient();
  const reply = await client.send(new InvokeModelCommand({ modelId: model, body: body(messages, more) }));
  return JSON.parse(utf8.decode(reply.body));
}

async function stream(prompt) {
  const client = new BedrockRuntimeClient();
  const reply = await client.send(
    new InvokeModelWithResponseStreamCommand({ modelId: model, body: body([{ role: 'user', content: prompt }]) }),
  );
  let m, metrics, text = '';
  for await (const frame of reply.body) {
    const event = JSON.parse(utf8.decode(frame.chunk.bytes));
    if (event.type === 'message_start') m = event.message;
    if (event.type === 'content_block_delta') {
      if (!text) say('first', { text: event.delta.text });
      text += event.delta.text;
    }
    if (event.type === 'message_delta') {
      m.stop_reason = event.delta.stop_reason;
      Object.assign(m.usage, event.usage);
    }
    if (event.type === 'message_stop') metrics = event['amazon-bedrock-invocationMetrics'];
  }
  m.content = [{ type: 'text', text }];
  return { ...message(m), metrics };
}

async function tools(prompt) {
  const turns = [{ role: 'user', content: prompt }];
  const first = await invoke(turns, { tools: [weather] });
  const call = first.content.find((b) => b.type === 'tool_use');
  turns.push({ role: 'assistant', content: first.content });
  turns.push({ role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: '18 degrees' }] });
  const last = await invoke(turns, { tools: [weather] });
  return { ...message(last), tool: call.name, tool_id: call.id, tool_input: call.input, tool_stop: first.stop_reason };
}

async function list() {
  const client = new BedrockClient();
  const { modelSummaries } = await client.send(new ListFoundationModelsCommand({ byProvider: 'anthropic' }));
  const profiles = [];
  for await (const page of paginateListInferenceProfiles({ client, pageSize: 7 }, { typeEquals: 'SYSTEM_DEFINED' })) {
    profiles.push(...page.inferenceProfileSummaries);
  }
  const one = await client.send(new GetFoundationModelCommand({ modelIdentifier: 'anthropic.claude-opus-4-6-v1:0' }));
  const get = (inferenceProfileIdentifier) => client.send(new GetInferenceProfileCommand({ inferenceProfileIdentifier }));
  const byID = await get(profiles[0].inferenceProfileId);
  const byARN = await get(profiles[0].inferenceProfileArn);
  return {
    models: modelSummaries.map((m) => m.modelId),
    profiles: profiles.map((p) => p.inferenceProfileId),
    model: one.modelDetails.modelName,
    same: byID.inferenceProfileArn === byARN.inferenceProfileArn,
  };
}

async function count(prompt) {
  const n = await new BedrockRuntimeClient().send(
    new CountTokensCommand({
      modelId: 'anthropic.claude-opus-4-6-v1:0',
      input: { invokeModel: { body: new TextEncoder().encode(body([{ role: 'user', content: prompt }])) } },
    }),
  );
  return { input_tokens: n.inputTokens };
}

async function identity() {
  const who = await new STSClient().send(new GetCallerIdentityCommand({}));
  return { account: who.Account, arn: who.Arn, user: who.UserId };
}

await main({
  plain: async (prompt) => message(await invoke([{ role: 'user', content: prompt }])),
  stream,
  tools,
  list,
  'count-tokens': count,
  identity,
  ...converse,
});
