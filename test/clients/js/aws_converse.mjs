// The same user's program on Converse, ConverseStream and CountTokens of what Converse would be sent.
import { readFileSync } from 'node:fs';
import {
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
  CountTokensCommand,
} from '@aws-sdk/client-bedrock-runtime';
import { say, weather } from './report.mjs';

const model = 'global.anthropic.claude-opus-4-6-v1:0';
const toolConfig = {
  tools: [
    {
      toolSpec: { name: weather.name, description: weather.description, inputSchema: { json: weather.input_schema } },
    },
  ],
};
const user = (...content) => ({ role: 'user', content });
const input = (messages, more) => ({ modelId: model, messages, inferenceConfig: { maxTokens: 256 }, ...more });
const ask = (messages, more) => new BedrockRuntimeClient().send(new ConverseCommand(input(messages, more)));

function message(reply) {
  let text = '', page = 0, quoted = '';
  for (const block of reply.output.message.content) {
    text += block.text ?? '';
    if (block.citationsContent) {
      const { content, citations } = block.citationsContent;
      text += content.map((part) => part.text).join('');
      page = citations[0].location.documentPage.start;
      quoted = citations[0].sourceContent[0].text;
    }
  }
  return {
    text, page, quoted,
    stop: reply.stopReason,
    input_tokens: reply.usage.inputTokens,
    output_tokens: reply.usage.outputTokens,
    total_tokens: reply.usage.totalTokens,
    latency: reply.metrics.latencyMs,
  };
}

async function plain(prompt) {
  const reply = await ask([user({ text: prompt })], { system: [{ text: 'Be brief.' }] });
  return { ...message(reply), request_id: reply.$metadata.requestId };
}

// Reads a stream into what Converse would have answered, and the order of its events.
async function read(messages, more) {
  const reply = await new BedrockRuntimeClient().send(new ConverseStreamCommand(input(messages, more)));
  const content = [], order = [], m = {};
  for await (const event of reply.stream) {
    const [[kind, e]] = Object.entries(event);
    if (order.at(-1) !== kind) order.push(kind);
    if (kind === 'contentBlockStart') {
      content[e.contentBlockIndex] = { toolUse: { ...e.start.toolUse, input: '' } };
    } else if (kind === 'contentBlockDelta' && e.delta.toolUse) {
      content[e.contentBlockIndex].toolUse.input += e.delta.toolUse.input;
    } else if (kind === 'contentBlockDelta') {
      if (!content.length) say('first', { text: e.delta.text });
      content[e.contentBlockIndex] ??= { text: '' };
      content[e.contentBlockIndex].text += e.delta.text;
    } else {
      Object.assign(m, e);
    }
  }
  return { ...m, output: { message: { role: m.role, content } }, order };
}

async function stream(prompt) {
  const m = await read([user({ text: prompt })]);
  return { ...message(m), order: m.order };
}

async function tools(prompt) {
  const turns = [user({ text: prompt })];
  const first = await read(turns, { toolConfig });
  const answer = first.output.message;
  const call = answer.content.find((b) => b.toolUse).toolUse;
  call.input = JSON.parse(call.input);
  turns.push(answer);
  turns.push(
    user({ toolResult: { toolUseId: call.toolUseId, content: [{ json: { degrees: 18 } }], status: 'success' } }),
  );
  const last = await ask(turns, { toolConfig });
  return {
    ...message(last),
    tool: call.name,
    tool_id: call.toolUseId,
    tool_input: call.input,
    tool_stop: first.stopReason,
  };
}

const pdf = (more) => async (prompt) => {
  const source = { bytes: readFileSync(process.env.PDF) };
  return message(await ask([user({ text: prompt }, { document: { format: 'pdf', name: 'report', source, ...more } })]));
};

async function count(prompt) {
  const n = await new BedrockRuntimeClient().send(
    new CountTokensCommand({
      modelId: 'anthropic.claude-opus-4-6-v1:0',
      input: { converse: { messages: [user({ text: prompt })], system: [{ text: 'Be brief.' }], toolConfig } },
    }),
  );
  return { input_tokens: n.inputTokens };
}

export const converse = {
  converse: plain,
  'converse-stream': stream,
  'converse-tools': tools,
  'converse-pdf': pdf(),
  'converse-pdf-cited': pdf({ citations: { enabled: true } }),
  'converse-count': count,
};
