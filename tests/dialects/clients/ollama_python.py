"""ollama for Python: chat, generate, stream, tools, format, embed, list, show, ps, pull, async, cancel."""

import asyncio
import json

import ollama
from check import BASE_URL, LONG_LIST, MODEL, QUESTION, WEATHER, check, expect_idle, main

client = ollama.Client(host=BASE_URL, timeout=60)
SAY = [{"role": "user", "content": QUESTION}]
TOOL = {"type": "function", "function": {"name": "weather", "description": "The forecast", "parameters": WEATHER}}
SHORT = {"num_predict": 24, "temperature": 0}


@check
def list_models():
    model = client.list().models[0]
    assert model.model and model.digest and model.size and model.modified_at, model
    details = model.details
    assert details.format == "gguf" and details.family and details.families, details
    assert details.parameter_size and details.quantization_level, details


@check
def show():
    shown = client.show(MODEL)
    assert "completion" in shown.capabilities, shown.capabilities
    architecture = shown.modelinfo["general.architecture"]
    assert shown.modelinfo[f"{architecture}.context_length"] > 0, shown.modelinfo
    assert shown.template and shown.details.family, shown


@check
def ps():
    client.chat(MODEL, SAY, options=SHORT)
    model = client.ps().models[0]
    assert model.model and model.size and model.expires_at, model


@check
def chat():
    answer = client.chat(MODEL, SAY, options=SHORT)
    assert answer.message.role == "assistant" and answer.message.content and answer.done, answer
    assert answer.done_reason in ("stop", "length") and answer.eval_count > 0 and answer.prompt_eval_count > 0, answer
    assert answer.total_duration >= answer.eval_duration > 0 and answer.created_at, answer


@check
def chat_stream():
    parts = list(client.chat(MODEL, SAY, options=SHORT, stream=True))
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True], parts
    text = "".join(part.message.content or "" for part in parts)
    assert text == client.chat(MODEL, SAY, options=SHORT).message.content, text
    assert parts[-1].done_reason and parts[-1].eval_count > 0, parts[-1]


@check
def chat_stop():
    whole = client.chat(MODEL, SAY, options=SHORT).message.content
    word = whole.split()[1]
    cut = client.chat(MODEL, SAY, options={**SHORT, "stop": [word]}).message.content
    assert word not in cut and whole.startswith(cut), (whole, cut)


@check
def chat_tools():
    answer = client.chat(MODEL, SAY, tools=[TOOL], options={"num_predict": 200, "temperature": 0})
    for call in answer.message.tool_calls or []:
        assert call.function.name == "weather" and isinstance(call.function.arguments, dict), call
    assert answer.message.tool_calls or answer.message.content is not None, answer


@check
def chat_tool_result():
    call = {"function": {"name": "weather", "arguments": {"city": "Rome", "days": 1}}}
    messages = [
        *SAY,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_name": "weather", "content": "sunny"},
    ]
    assert client.chat(MODEL, messages, tools=[TOOL], options=SHORT).done


@check
def chat_format():
    answer = client.chat(MODEL, SAY, format=WEATHER, options={"num_predict": 200, "temperature": 0})
    assert set(json.loads(answer.message.content)) == {"city", "days"}, answer


@check
def chat_format_json():
    answer = client.chat(MODEL, SAY, format="json", options={"num_predict": 300, "temperature": 0})
    assert answer.done_reason == "length" or isinstance(json.loads(answer.message.content), dict), answer


@check
def chat_think_false():
    assert client.chat(MODEL, SAY, think=False, options=SHORT).message.content


@check
def generate():
    answer = client.generate(MODEL, QUESTION, system="Answer briefly.", options=SHORT)
    assert answer.response and answer.done and answer.eval_count > 0, answer
    parts = list(client.generate(MODEL, QUESTION, system="Answer briefly.", options=SHORT, stream=True))
    assert "".join(part.response for part in parts) == answer.response, (parts, answer)


@check
def generate_load_and_raw():
    loaded = client.generate(MODEL, "", keep_alive="5m")
    assert loaded.done and loaded.done_reason == "load" and loaded.response == "", loaded
    assert client.generate(MODEL, "A daemon is", raw=True, options=SHORT).response


@check
def embed():
    answer = client.embed(MODEL, ["a daemon", "a cat"])
    assert len(answer.embeddings) == 2 and answer.prompt_eval_count > 0, answer
    assert abs(sum(x * x for x in answer.embeddings[0]) - 1) < 1e-3
    assert len(client.embed(MODEL, "a daemon").embeddings) == 1


@check
def pull():
    assert client.pull(MODEL).status == "success"
    assert list(client.pull(MODEL, stream=True))[-1].status == "success"
    try:
        client.pull("no-such-model")
    except ollama.ResponseError as error:
        assert error.status_code == 404 and error.error, error
    else:
        raise AssertionError("pulled a model that nobody knows")


@check
def no_management():
    for call in (
        lambda: client.delete(MODEL),
        lambda: client.copy(MODEL, "other"),
        lambda: client.create("x", from_=MODEL),
    ):
        try:
            call()
        except ollama.ResponseError as error:
            assert error.status_code in (403, 404, 405, 501), error
        else:
            raise AssertionError("models can be managed over HTTP")


@check
def asynchronous():
    async def run():
        async def one():
            parts = []
            async for part in await ollama.AsyncClient(host=BASE_URL).chat(MODEL, SAY, options=SHORT, stream=True):
                parts.append(part.message.content or "")
            return "".join(parts)

        return await asyncio.gather(*(one() for _ in range(6)))

    assert all(asyncio.run(run()))


@check
def cancel():
    for _ in range(4):
        stream = client.chat(MODEL, SAY, format=LONG_LIST, options={"num_predict": 3500, "temperature": 0}, stream=True)
        for i, _ in enumerate(stream):
            if i == 3:
                break
        stream.close()
    expect_idle()


main()
