"""litellm: its providers openai/, anthropic/ and ollama_chat/, each chat, stream, tools, cancel; embeddings of two."""

import json
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # no download at import

import litellm
from check import API_KEY, BASE_URL, ENDLESS, LONG_LIST, MODEL, QUESTION, WEATHER, check, expect_idle, main

litellm.telemetry = False
litellm.suppress_debug_info = True
SAY = [{"role": "user", "content": QUESTION}]
TOOL = {"type": "function", "function": {"name": "weather", "description": "The forecast", "parameters": WEATHER}}
OPENAI = dict(model=f"openai/{MODEL}", api_base=f"{BASE_URL}/v1", api_key=API_KEY)
ANTHROPIC = dict(model=f"anthropic/{MODEL}", api_base=BASE_URL, api_key=API_KEY)
OLLAMA = dict(model=f"ollama_chat/{MODEL}", api_base=BASE_URL)


def ask(provider, **more):
    return litellm.completion(**provider, messages=SAY, timeout=60, num_retries=0, **{"max_tokens": 24, **more})


def chat(provider):
    answer = ask(provider)
    assert answer.choices[0].message.content and answer.usage.completion_tokens > 0, answer


def stream(provider):
    text, reason = "", None
    for chunk in ask(provider, stream=True):
        text += chunk.choices[0].delta.content or ""
        reason = chunk.choices[0].finish_reason or reason
    assert text and reason in ("stop", "length"), (text, reason)


def tools(provider):
    answer = ask(provider, tools=[TOOL], tool_choice="required", max_tokens=200)
    call = answer.choices[0].message.tool_calls[0]
    assert set(json.loads(call.function.arguments)) == {"city", "days"}, answer


def cancel(provider, **more):
    for _ in range(2):
        chunks = ask(provider, stream=True, max_tokens=3500, temperature=0, **more)
        for i, _ in enumerate(chunks):
            if i == 3:
                break
        # litellm does not close its client's connection itself.
        inner = getattr(chunks, "completion_stream", None)
        close = getattr(inner, "close", None) or getattr(getattr(inner, "response", None), "close", None)
        if close:
            close()
        del chunks, inner
    expect_idle(5)


@check
def openai_chat():
    chat(OPENAI)


@check
def openai_stream():
    stream(OPENAI)


@check
def openai_tools():
    tools(OPENAI)


@check
def openai_embedding():
    answer = litellm.embedding(model=f"openai/{MODEL}", api_base=f"{BASE_URL}/v1", api_key=API_KEY, input=["a", "b"])
    assert len(answer.data) == 2, answer


@check
def openai_cancel():
    cancel(OPENAI, logit_bias=ENDLESS)


@check
def anthropic_chat():
    chat(ANTHROPIC)


@check
def anthropic_stream():
    stream(ANTHROPIC)


@check
def anthropic_tools():
    tools(ANTHROPIC)


@check
def ollama_chat():
    chat(OLLAMA)


@check
def ollama_stream():
    stream(OLLAMA)


@check
def ollama_tools():
    answer = ask(OLLAMA, tools=[TOOL], max_tokens=200)
    message = answer.choices[0].message
    assert message.content is not None or message.tool_calls, answer


@check
def ollama_format():
    answer = ask(
        OLLAMA, max_tokens=200, response_format={"type": "json_schema", "json_schema": {"name": "w", "schema": WEATHER}}
    )
    assert set(json.loads(answer.choices[0].message.content)) == {"city", "days"}, answer


@check
def ollama_embedding():
    answer = litellm.embedding(model=f"ollama/{MODEL}", api_base=BASE_URL, input=["a", "b"])
    assert len(answer.data) == 2, answer


@check
def ollama_cancel():
    cancel(OLLAMA, response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": LONG_LIST}})


main()
