// ollama for JavaScript: chat, generate, stream, tools, format, embed, list, show, ps, abort.

import { Ollama } from 'ollama';
import { BASE_URL, LONG_LIST, MODEL, QUESTION, WEATHER, assert, expectIdle, main } from './check.mjs';

const client = new Ollama({ host: BASE_URL });
const messages = [{ role: 'user', content: QUESTION }];
const tool = { type: 'function', function: { name: 'weather', description: 'The forecast', parameters: WEATHER } };
const options = { num_predict: 24, temperature: 0 };

await main({
  async list() {
    const { models } = await client.list();
    assert(models[0].name && models[0].digest && models[0].details.families.length, models);
  },
  async show() {
    const shown = await client.show({ model: MODEL });
    assert(shown.model_info['general.architecture'] && shown.capabilities.includes('completion'), shown);
  },
  async chat() {
    const answer = await client.chat({ model: MODEL, messages, options });
    assert(answer.message.content && answer.done && answer.eval_count > 0, answer);
  },
  async ps() {
    assert((await client.ps()).models[0].name, await client.ps());
  },
  async stream() {
    let text = '';
    let last;
    for await (const part of await client.chat({ model: MODEL, messages, options, stream: true })) {
      text += part.message.content;
      last = part;
    }
    const whole = await client.chat({ model: MODEL, messages, options });
    assert(last.done && last.done_reason && text === whole.message.content, { text, last });
  },
  async generate() {
    assert((await client.generate({ model: MODEL, prompt: QUESTION, options })).response, 'nothing');
  },
  async tools() {
    const answer = await client.chat({
      model: MODEL,
      messages,
      tools: [tool],
      options: { ...options, num_predict: 200 },
    });
    for (const call of answer.message.tool_calls ?? []) assert(typeof call.function.arguments === 'object', call);
  },
  async format() {
    const answer = await client.chat({
      model: MODEL,
      messages,
      format: WEATHER,
      options: { ...options, num_predict: 200 },
    });
    assert(Object.keys(JSON.parse(answer.message.content)).sort().join() === 'city,days', answer);
  },
  async embed() {
    const answer = await client.embed({ model: MODEL, input: ['a daemon', 'a cat'] });
    assert(answer.embeddings.length === 2 && answer.embeddings[0].length > 1, answer);
  },
  async version() {
    assert(/^\d+\.\d+\.\d+/.test((await client.version()).version), await client.version());
  },
  async cancel() {
    for (let round = 0; round < 4; round += 1) {
      const stream = await client.chat({
        model: MODEL,
        messages,
        format: LONG_LIST,
        options: { num_predict: 3500, temperature: 0 },
        stream: true,
      });
      let n = 0;
      try {
        for await (const _ of stream) if (++n === 4) stream.abort();
      } catch (error) {
        assert(error.name === 'AbortError', error);
      }
    }
    await expectIdle();
  },
});
