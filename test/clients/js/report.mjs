// What every JavaScript program here prints: one JSON object a line, read by the Go runner.
export const say = (event, fields) => console.log(JSON.stringify({ event, ...fields }));

// Runs the operation named by argv[2] with the prompt in argv[3]; an exception is reported, not hidden.
export async function main(operations) {
  const [, , name, prompt] = process.argv;
  try {
    say('done', await operations[name](prompt));
  } catch (e) {
    say('error', {
      type: e.constructor.name,
      status: e.status ?? e.$metadata?.httpStatusCode ?? 0,
      code: e.error?.error?.type ?? (e.$fault ? e.name : ''),
      message: String(e.message),
      request_id: e.requestID ?? e.$metadata?.requestId ?? '',
    });
  }
}

export const weather = {
  name: 'get_weather',
  description: 'The weather in a city',
  input_schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
};

export const message = (m) => ({
  id: m.id,
  model: m.model,
  text: m.content.filter((b) => b.type === 'text').map((b) => b.text).join(''),
  stop: m.stop_reason,
  input_tokens: m.usage.input_tokens,
  output_tokens: m.usage.output_tokens,
});
