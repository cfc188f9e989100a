"""anthropic for Python: messages, stream, tools, thinking, count_tokens, errors, cancel."""

import anthropic
from check import API_KEY, BASE_URL, LONG_LIST, MODEL, QUESTION, WEATHER, check, expect_idle, main

client = anthropic.Anthropic(base_url=BASE_URL, api_key=API_KEY, timeout=60, max_retries=0)
SAY = [{"role": "user", "content": QUESTION}]
TOOL = {"name": "weather", "description": "The forecast", "input_schema": WEATHER}


@check
def message():
    answer = client.messages.create(model=MODEL, max_tokens=24, messages=SAY, system="Answer briefly.")
    assert answer.type == "message" and answer.role == "assistant" and answer.id.startswith("msg_"), answer
    assert answer.content[0].type == "text" and answer.stop_reason in ("end_turn", "max_tokens"), answer
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0, answer.usage


@check
def system_blocks_and_cache_control():
    system = [{"type": "text", "text": "Answer briefly.", "cache_control": {"type": "ephemeral"}}]
    blocks = [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]
    answer = client.messages.create(model=MODEL, max_tokens=8, messages=blocks, system=system)
    assert answer.content, answer


@check
def max_tokens():
    answer = client.messages.create(model=MODEL, max_tokens=2, messages=SAY)
    assert answer.stop_reason == "max_tokens" and answer.usage.output_tokens == 2, answer


@check
def stop_sequence():
    whole = client.messages.create(model=MODEL, max_tokens=24, messages=SAY).content[0].text
    word = whole.split()[1]
    answer = client.messages.create(model=MODEL, max_tokens=24, messages=SAY, stop_sequences=[word])
    assert answer.stop_reason == "stop_sequence" and answer.stop_sequence == word, answer


@check
def stream():
    with client.messages.stream(model=MODEL, max_tokens=24, messages=SAY) as events:
        text = "".join(events.text_stream)
        final = events.get_final_message()
    assert text == final.content[0].text and final.stop_reason, final
    whole = client.messages.create(model=MODEL, max_tokens=24, messages=SAY)
    assert whole.content[0].text == text, (whole, text)
    assert final.usage.output_tokens == whole.usage.output_tokens, (final.usage, whole.usage)


@check
def stream_order():
    events = list(client.messages.create(model=MODEL, max_tokens=8, messages=SAY, stream=True))
    kinds = [event.type for event in events if event.type != "ping"]
    assert kinds[0] == "message_start" and kinds[1] == "content_block_start", kinds
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"], kinds
    assert set(kinds[2:-3]) <= {"content_block_delta"}, kinds


@check
def tools_any():
    answer = client.messages.create(
        model=MODEL, max_tokens=200, messages=SAY, tools=[TOOL], tool_choice={"type": "any"}
    )
    call = [block for block in answer.content if block.type == "tool_use"][0]
    assert answer.stop_reason == "tool_use" and call.name == "weather" and call.id, answer
    assert set(call.input) == {"city", "days"}, call
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    history = [
        *SAY,
        {"role": "assistant", "content": [call.model_dump(exclude_none=True)]},
        {"role": "user", "content": [result]},
    ]
    again = client.messages.create(model=MODEL, max_tokens=24, messages=history, tools=[TOOL])
    assert again.content, again


@check
def tools_named():
    choice = {"type": "tool", "name": "weather"}
    answer = client.messages.create(model=MODEL, max_tokens=200, messages=SAY, tools=[TOOL], tool_choice=choice)
    assert any(block.type == "tool_use" and block.name == "weather" for block in answer.content), answer


@check
def tools_stream():
    with client.messages.stream(
        model=MODEL, max_tokens=200, messages=SAY, tools=[TOOL], tool_choice={"type": "any"}
    ) as events:
        kinds = [event.delta.type for event in events if event.type == "content_block_delta"]
        final = events.get_final_message()
    assert "input_json_delta" in kinds, kinds
    call = [block for block in final.content if block.type == "tool_use"][0]
    assert set(call.input) == {"city", "days"} and final.stop_reason == "tool_use", final


@check
def thinking_is_accepted():
    answer = client.messages.create(
        model=MODEL, max_tokens=1100, messages=SAY, thinking={"type": "enabled", "budget_tokens": 1024}
    )
    assert answer.content, answer


@check
def count_tokens():
    n = client.messages.count_tokens(model=MODEL, messages=SAY, system="Answer briefly.").input_tokens
    answer = client.messages.create(model=MODEL, max_tokens=1, messages=SAY, system="Answer briefly.")
    usage = answer.usage
    assert n == usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0), (
        n,
        usage,
    )


@check
def errors():
    for bad in (
        dict(messages=[{"role": "robot", "content": "x"}]),
        dict(messages=SAY, extra_body={"temperature": -1}),
        dict(messages=[{"role": "user", "content": "word " * 20000}]),
    ):
        try:
            client.messages.create(model=MODEL, max_tokens=8, **bad)
        except anthropic.APIStatusError as error:
            assert error.status_code == 400, error
            assert error.body["type"] == "error" and error.body["error"]["type"] and error.body["error"]["message"], (
                error.body
            )
        else:
            raise AssertionError(f"accepted: {str(bad)[:80]}")


@check
def cancel():
    tool = {"name": "numbers", "description": "Many numbers", "input_schema": LONG_LIST}
    for _ in range(4):
        stream = client.messages.create(
            model=MODEL, max_tokens=3500, messages=SAY, tools=[tool], tool_choice={"type": "any"}, stream=True
        )
        for i, _ in enumerate(stream):
            if i == 3:
                break
        stream.close()
    expect_idle()


main()
