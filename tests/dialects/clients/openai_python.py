"""openai for Python: chat, stream, async, parse, tools, Responses, embeddings, models, completions, cancel."""

import asyncio
import json
import math

import openai
import pydantic
from check import API_KEY, BASE_URL, ENDLESS, MODEL, QUESTION, WEATHER, check, expect_idle, main

client = openai.OpenAI(base_url=f"{BASE_URL}/v1", api_key=API_KEY, timeout=60, max_retries=0)
SAY = [{"role": "system", "content": "Answer briefly."}, {"role": "user", "content": QUESTION}]
TOOL = {"type": "function", "function": {"name": "weather", "description": "The forecast", "parameters": WEATHER}}
TOOL_FLAT = {
    "type": "function",
    "name": "weather",
    "description": "The forecast",
    "parameters": WEATHER,
    "strict": True,
}


class Person(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=12)
    age: int = pydantic.Field(ge=0, le=150)


@check
def chat():
    answer = client.chat.completions.create(model=MODEL, messages=SAY, max_tokens=24)
    assert answer.object == "chat.completion" and answer.id.startswith("chatcmpl-"), answer
    choice = answer.choices[0]
    assert choice.message.role == "assistant" and choice.message.content, choice
    assert choice.finish_reason in ("stop", "length"), choice
    usage = answer.usage
    assert usage.prompt_tokens > 0 and usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


@check
def chat_length():
    answer = client.chat.completions.create(model=MODEL, messages=SAY, max_completion_tokens=2)
    assert answer.choices[0].finish_reason == "length" and answer.usage.completion_tokens == 2, answer


@check
def chat_stop():
    whole = (
        client.chat.completions.create(model=MODEL, messages=SAY, max_tokens=24, temperature=0)
        .choices[0]
        .message.content
    )
    stop = whole.split()[1]
    cut = client.chat.completions.create(model=MODEL, messages=SAY, max_tokens=24, temperature=0, stop=[stop]).choices[
        0
    ]
    assert cut.finish_reason == "stop" and stop not in cut.message.content, (stop, cut)
    assert whole.startswith(cut.message.content), (whole, cut)


@check
def chat_n():
    answer = client.chat.completions.create(model=MODEL, messages=SAY, max_tokens=4, n=2, temperature=1, seed=1)
    assert sorted(choice.index for choice in answer.choices) == [0, 1], answer


@check
def chat_same_seed():
    ask = dict(model=MODEL, messages=SAY, max_tokens=24, temperature=1.5, seed=7)
    texts = {client.chat.completions.create(**ask).choices[0].message.content for _ in range(3)}
    assert len(texts) == 1, texts


def streamed(**more):
    return list(client.chat.completions.create(model=MODEL, messages=SAY, stream=True, **more))


@check
def stream():
    chunks = streamed(max_tokens=24, temperature=0)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert all(chunk.choices for chunk in chunks), "a usage chunk came uninvited"
    assert all(chunk.choices[0].delta.role is None for chunk in chunks[1:])
    assert len({chunk.id for chunk in chunks}) == 1 and len({chunk.created for chunk in chunks}) == 1
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] in ("stop", "length")
    assert all(chunk.choices[0].finish_reason is None for chunk in chunks[:-1])
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    whole = (
        client.chat.completions.create(model=MODEL, messages=SAY, max_tokens=24, temperature=0)
        .choices[0]
        .message.content
    )
    assert text == whole, (text, whole)


@check
def stream_usage():
    chunks = streamed(max_tokens=8, stream_options={"include_usage": True})
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 0, chunks[-1]
    assert all(chunk.usage is None for chunk in chunks[:-1])


@check
def stream_helper():
    with client.chat.completions.stream(model=MODEL, messages=SAY, max_tokens=24) as events:
        kinds = {event.type for event in events}
        final = events.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds, kinds
    assert final.choices[0].message.content


@check
def stream_async():
    async def run():
        asynchronous = openai.AsyncOpenAI(base_url=f"{BASE_URL}/v1", api_key=API_KEY, timeout=60, max_retries=0)

        async def one(i):
            parts = []
            async for chunk in await asynchronous.chat.completions.create(
                model=MODEL, messages=SAY, max_tokens=16, temperature=0, stream=True
            ):
                parts.append(chunk.choices[0].delta.content or "")
            return "".join(parts)

        return await asyncio.gather(*(one(i) for i in range(6)))

    texts = asyncio.run(run())
    assert all(texts), texts


@check
def parse():
    answer = client.chat.completions.parse(model=MODEL, messages=SAY, max_tokens=200, response_format=Person)
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "stop" and isinstance(message.parsed, Person), message


@check
def json_object():
    answer = client.chat.completions.create(
        model=MODEL, messages=SAY, max_tokens=300, response_format={"type": "json_object"}, temperature=0
    )
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(answer.choices[0].message.content), dict), answer


@check
def tools_required():
    answer = client.chat.completions.create(
        model=MODEL, messages=SAY, tools=[TOOL], tool_choice="required", max_tokens=200, parallel_tool_calls=False
    )
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls" and len(message.tool_calls) == 1, answer
    call = message.tool_calls[0]
    assert call.id and call.type == "function" and call.function.name == "weather", call
    assert set(json.loads(call.function.arguments)) == {"city", "days"}, call


@check
def tools_named():
    named = {"type": "function", "function": {"name": "weather"}}
    answer = client.chat.completions.create(model=MODEL, messages=SAY, tools=[TOOL], tool_choice=named, max_tokens=200)
    assert answer.choices[0].message.tool_calls[0].function.name == "weather", answer


@check
def tools_auto_and_none():
    for choice in ("auto", "none"):
        answer = client.chat.completions.create(
            model=MODEL, messages=SAY, tools=[TOOL], tool_choice=choice, max_tokens=100
        )
        message = answer.choices[0].message
        assert message.content or message.tool_calls, answer
        assert choice == "auto" or not message.tool_calls, answer


@check
def tools_stream():
    name, arguments, ids, finish = "", "", set(), None
    for chunk in streamed(tools=[TOOL], tool_choice="required", max_tokens=200):
        choice = chunk.choices[0]
        for call in choice.delta.tool_calls or []:
            assert call.index == 0, call
            name += call.function.name or ""
            arguments += call.function.arguments or ""
            ids |= {call.id} if call.id else set()
        finish = choice.finish_reason or finish
    assert name == "weather" and len(ids) == 1 and finish == "tool_calls", (name, ids, finish)
    assert set(json.loads(arguments)) == {"city", "days"}, arguments


@check
def tools_result():
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city":"Rome","days":1}'},
    }
    messages = [
        *SAY,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    answer = client.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL], max_tokens=24)
    assert answer.choices[0].message is not None, answer


@check
def logprobs():
    answer = client.chat.completions.create(
        model=MODEL, messages=SAY, max_tokens=6, logprobs=True, top_logprobs=3, temperature=0
    )
    choice = answer.choices[0]
    assert "".join(token.token for token in choice.logprobs.content) == choice.message.content, choice
    for token in choice.logprobs.content:
        assert token.logprob <= 0 and bytes(token.bytes).decode(errors="replace"), token
        assert len(token.top_logprobs) == 3 and token.top_logprobs[0].token == token.token, token


@check
def logit_bias():
    first = client.chat.completions.create(model=MODEL, messages=SAY, max_tokens=30, temperature=0, logit_bias=ENDLESS)
    assert first.choices[0].finish_reason == "length", first


@check
def completions():
    answer = client.completions.create(model=MODEL, prompt="A daemon is", max_tokens=8, temperature=0)
    assert answer.object == "text_completion" and answer.choices[0].text, answer
    parts = client.completions.create(model=MODEL, prompt="A daemon is", max_tokens=8, temperature=0, stream=True)
    text = "".join(part.choices[0].text for part in parts if part.choices)
    assert text == answer.choices[0].text, (text, answer)


@check
def completions_logprobs():
    answer = client.completions.create(model=MODEL, prompt="A daemon is", max_tokens=4, temperature=0, logprobs=2)
    logprobs = answer.choices[0].logprobs
    assert logprobs and "".join(logprobs.tokens) == answer.choices[0].text, answer
    assert len(logprobs.token_logprobs) == len(logprobs.tokens) == len(logprobs.top_logprobs), logprobs


@check
def responses():
    answer = client.responses.create(model=MODEL, instructions="Answer briefly.", input=QUESTION, max_output_tokens=24)
    assert answer.id.startswith("resp_") and answer.object == "response" and answer.output_text, answer
    assert answer.status in ("completed", "incomplete"), answer.status
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0
    message = [item for item in answer.output if item.type == "message"][0]
    assert message.id.startswith("msg_") and message.role == "assistant", message


@check
def responses_stream():
    events = list(client.responses.create(model=MODEL, input=SAY, max_output_tokens=24, temperature=0, stream=True))
    kinds = [event.type for event in events]
    assert kinds[0] == "response.created" and kinds[-1] in ("response.completed", "response.incomplete"), kinds
    for kind in (
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
    ):
        assert f"response.{kind}" in kinds, kinds
    numbers = [event.sequence_number for event in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), numbers
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == events[-1].response.output_text, (text, events[-1])


@check
def responses_helper():
    with client.responses.stream(model=MODEL, input=QUESTION, max_output_tokens=24) as events:
        for _ in events:
            pass
        assert events.get_final_response().output_text is not None


@check
def responses_parse():
    answer = client.responses.parse(model=MODEL, input=QUESTION, max_output_tokens=200, text_format=Person)
    assert isinstance(answer.output_parsed, Person), answer


@check
def responses_tools():
    answer = client.responses.create(
        model=MODEL, input=QUESTION, tools=[TOOL_FLAT], tool_choice="required", max_output_tokens=200
    )
    call = [item for item in answer.output if item.type == "function_call"][0]
    assert call.name == "weather" and call.call_id and set(json.loads(call.arguments)) == {"city", "days"}, call
    again = client.responses.create(
        model=MODEL,
        tools=[TOOL_FLAT],
        max_output_tokens=24,
        input=[
            {"role": "user", "content": QUESTION},
            call.model_dump(exclude_none=True),
            {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"},
        ],
    )
    assert again.output is not None, again


@check
def responses_tools_stream():
    events = list(
        client.responses.create(
            model=MODEL, input=QUESTION, tools=[TOOL_FLAT], tool_choice="required", max_output_tokens=200, stream=True
        )
    )
    arguments = "".join(event.delta for event in events if event.type == "response.function_call_arguments.delta")
    done = [event for event in events if event.type == "response.function_call_arguments.done"]
    assert len(done) == 1 and done[0].arguments == arguments, (arguments, done)
    assert set(json.loads(arguments)) == {"city", "days"}, arguments


@check
def embeddings():
    one = client.embeddings.create(model=MODEL, input=["a daemon", "a cat"], encoding_format="float")
    two = client.embeddings.create(model=MODEL, input="a daemon")  # the library asks for base64 itself
    assert len(one.data) == 2 and [item.index for item in one.data] == [0, 1], one
    vector = one.data[0].embedding
    assert abs(math.fsum(x * x for x in vector) - 1) < 1e-3
    assert max(abs(a - b) for a, b in zip(vector, two.data[0].embedding, strict=True)) < 1e-3
    assert one.usage.prompt_tokens > 0


@check
def models():
    listed = client.models.list().data
    assert len(listed) >= 1 and listed[0].object == "model" and listed[0].owned_by, listed
    assert client.models.retrieve(listed[0].id).id == listed[0].id


@check
def errors():
    for bad, status in [
        (dict(messages=[]), 400),
        (dict(messages=SAY, temperature=3), 400),
        (dict(messages=SAY, stream_options={"include_usage": True}), 400),
        (dict(messages=[{"role": "user", "content": "word " * 20000}]), 400),
        (
            dict(
                messages=[
                    {
                        "role": "user",
                        "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}],
                    }
                ]
            ),
            400,
        ),
    ]:
        try:
            client.chat.completions.create(model=MODEL, **bad)
        except openai.APIStatusError as error:
            assert error.status_code == status, (bad.keys(), error.status_code)
            assert isinstance(error.body, dict) and error.body["message"], error.body
            assert "code" in error.body and "param" in error.body and error.type, error.body
        else:
            raise AssertionError(f"accepted: {str(bad)[:80]}")


@check
def cancel():
    for _ in range(4):
        stream = client.chat.completions.create(
            model=MODEL, messages=SAY, max_tokens=3500, temperature=0, stream=True, extra_body={"ignore_eos": True}
        )
        for i, _ in enumerate(stream):
            if i == 3:
                break
        stream.close()
    expect_idle()


@check
def cancel_whole():
    hasty = client.with_options(timeout=0.3)
    try:
        # With ignore_eos, since loop detection would otherwise end the answer early.
        hasty.chat.completions.create(
            model=MODEL, messages=SAY, max_tokens=3500, temperature=0, extra_body={"ignore_eos": True}
        )
        raise AssertionError("3,500 tokens in 0.3 s")
    except openai.APITimeoutError:
        expect_idle()


main()
