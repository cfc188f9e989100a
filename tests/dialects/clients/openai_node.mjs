// openai for Node: chat, stream, tools, parse, Responses, embeddings, models, completions, cancel.

import OpenAI from 'openai';
import { API_KEY, BASE_URL, MODEL, QUESTION, WEATHER, assert, expectIdle, main } from './check.mjs';

const client = new OpenAI({ baseURL: `${BASE_URL}/v1`, apiKey: API_KEY, timeout: 60000, maxRetries: 0 });
const messages = [
  { role: 'system', content: 'Answer briefly.' },
  { role: 'user', content: QUESTION },
];
const tool = { type: 'function', function: { name: 'weather', description: 'The forecast', parameters: WEATHER } };
const keys = (text) => Object.keys(JSON.parse(text)).sort().join();

await main({
  async chat() {
    const answer = await client.chat.completions.create({ model: MODEL, messages, max_tokens: 24 });
    assert(answer.choices[0].message.content && answer.usage.total_tokens > 0, answer);
    assert(answer.choices[0].message.refusal === null && answer.choices[0].logprobs === null, answer);
  },
  async stream() {
    let text = '';
    let reason = null;
    let n = 0;
    for await (const chunk of await client.chat.completions.create({
      model: MODEL,
      messages,
      max_tokens: 24,
      temperature: 0,
      stream: true,
    })) {
      const [choice] = chunk.choices;
      assert(choice, chunk);
      assert((n === 0) === (choice.delta.role === 'assistant'), chunk);
      text += choice.delta.content ?? '';
      reason = choice.finish_reason ?? reason;
      n += 1;
    }
    const whole = await client.chat.completions.create({ model: MODEL, messages, max_tokens: 24, temperature: 0 });
    assert(text === whole.choices[0].message.content && reason, { text, whole });
  },
  async stream_helper() {
    const runner = client.chat.completions.stream({
      model: MODEL,
      messages,
      max_tokens: 24,
      stream_options: { include_usage: true },
    });
    const final = await runner.finalChatCompletion();
    assert(final.choices[0].message.content && final.usage.completion_tokens > 0, final);
  },
  async tools() {
    const answer = await client.chat.completions.create({
      model: MODEL,
      messages,
      tools: [tool],
      tool_choice: 'required',
      max_tokens: 200,
    });
    const call = answer.choices[0].message.tool_calls[0];
    assert(answer.choices[0].finish_reason === 'tool_calls' && keys(call.function.arguments) === 'city,days', answer);
  },
  async tools_stream() {
    const runner = client.chat.completions.stream({
      model: MODEL,
      messages,
      tools: [tool],
      tool_choice: 'required',
      max_tokens: 200,
    });
    const final = await runner.finalChatCompletion();
    assert(keys(final.choices[0].message.tool_calls[0].function.arguments) === 'city,days', final);
  },
  async run_tools() {
    const asked = [];
    const runner = client.chat.completions.runTools(
      {
        model: MODEL,
        messages,
        max_tokens: 200,
        tools: [
          {
            type: 'function',
            function: {
              ...tool.function,
              parse: JSON.parse,
              function: (a) => {
                asked.push(a);
                return 'sunny';
              },
            },
          },
        ],
      },
      { maxChatCompletions: 2 },
    );
    await runner.done();
    assert(runner.messages.length > 2, runner.messages);
  },
  async parse() {
    const format = { type: 'json_schema', json_schema: { name: 'weather', strict: true, schema: WEATHER } };
    const answer = await client.chat.completions.create({
      model: MODEL,
      messages,
      response_format: format,
      max_tokens: 200,
    });
    assert(keys(answer.choices[0].message.content) === 'city,days', answer);
  },
  async completions() {
    const answer = await client.completions.create({ model: MODEL, prompt: 'A daemon is', max_tokens: 8 });
    assert(answer.choices[0].text, answer);
  },
  async responses() {
    const answer = await client.responses.create({ model: MODEL, input: QUESTION, max_output_tokens: 24 });
    assert(answer.output_text, answer);
  },
  async responses_stream() {
    const kinds = [];
    let text = '';
    let last;
    for await (const event of await client.responses.create({
      model: MODEL,
      input: QUESTION,
      max_output_tokens: 24,
      stream: true,
    })) {
      kinds.push(event.type);
      if (event.type === 'response.output_text.delta') text += event.delta;
      last = event;
    }
    assert(kinds[0] === 'response.created' && /response\.(completed|incomplete)/.test(kinds.at(-1)), kinds);
    const written = last.response.output
      .flatMap((item) => item.content ?? [])
      .map((part) => part.text)
      .join('');
    assert(written === text && text, last);
  },
  async responses_helper() {
    const final = await client.responses
      .stream({ model: MODEL, input: QUESTION, max_output_tokens: 24 })
      .finalResponse();
    assert(final.output_text !== undefined, final);
  },
  async embeddings() {
    const answer = await client.embeddings.create({ model: MODEL, input: ['a daemon', 'a cat'] });
    const norm = answer.data[0].embedding.reduce((sum, x) => sum + x * x, 0);
    assert(answer.data.length === 2 && Math.abs(norm - 1) < 1e-3, norm);
  },
  async models() {
    const list = [];
    for await (const model of client.models.list()) list.push(model);
    assert(list.length >= 1 && (await client.models.retrieve(list[0].id)).id === list[0].id, list);
  },
  async errors() {
    try {
      await client.chat.completions.create({ model: MODEL, messages: [], max_tokens: 8 });
    } catch (error) {
      assert(error instanceof OpenAI.BadRequestError && error.type && error.code === null, error);
      return;
    }
    assert(false, 'empty messages were accepted');
  },
  async cancel() {
    for (let round = 0; round < 4; round += 1) {
      const stream = await client.chat.completions.create({
        model: MODEL,
        messages,
        max_tokens: 3500,
        ignore_eos: true,
        temperature: 0,
        stream: true,
      });
      let n = 0;
      for await (const _ of stream) if (++n === 4) break;
    }
    await expectIdle();
  },
});
