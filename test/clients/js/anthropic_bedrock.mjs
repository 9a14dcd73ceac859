// A user's program on @anthropic-ai/bedrock-sdk: AnthropicBedrock and AnthropicBedrockMantle.
import { AnthropicBedrock, AnthropicBedrockMantle } from '@anthropic-ai/bedrock-sdk';
import { main, message, say, weather } from './report.mjs';

const model = 'global.anthropic.claude-opus-4-6-v1:0';
const mantleModel = 'anthropic.claude-opus-4-8';

const ask = (content) => ({ max_tokens: 256, messages: [{ role: 'user', content }] });

const plain = (Client, model) => async (prompt) =>
  message(await new Client().messages.create({ model, ...ask(prompt) }));

const stream = (Client, model) => async (prompt) => {
  let first = true;
  const s = new Client().messages.stream({ model, ...ask(prompt) }).on('text', (text) => {
    if (first) say('first', { text });
    first = false;
  });
  return message(await s.finalMessage());
};

const beta = async (prompt) =>
  message(await new AnthropicBedrock().beta.messages.create({ model, betas: ['context-1m-2025-08-07'], ...ask(prompt) }));

async function tools(prompt) {
  const client = new AnthropicBedrock();
  const messages = [{ role: 'user', content: prompt }];
  const first = await client.messages.create({ model, max_tokens: 256, messages, tools: [weather] });
  const call = first.content.find((b) => b.type === 'tool_use');
  messages.push({ role: 'assistant', content: first.content });
  messages.push({ role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: '18 degrees' }] });
  const last = await client.messages.create({ model, max_tokens: 256, messages, tools: [weather] });
  return { ...message(last), tool: call.name, tool_id: call.id, tool_input: call.input, tool_stop: first.stop_reason };
}

const count = (Client, model) => async (content) =>
  await new Client().messages.countTokens({ model, messages: [{ role: 'user', content }] });

await main({
  plain: plain(AnthropicBedrock, model),
  stream: stream(AnthropicBedrock, model),
  beta,
  tools,
  'count-tokens': count(AnthropicBedrock, model),
  mantle: plain(AnthropicBedrockMantle, mantleModel),
  'mantle-stream': stream(AnthropicBedrockMantle, mantleModel),
  'mantle-count-tokens': count(AnthropicBedrockMantle, mantleModel),
});
