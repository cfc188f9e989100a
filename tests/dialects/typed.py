"""Asks every route in many variants, and holds each answer, each chunk of a stream and each error against the types of the
openai, anthropic and ollama packages: strictly, and with no field that those do not know and EXTRAS does not list.

Usage: typed.py [--variants N] [--seed S] [--dialect openai|anthropic|ollama]
Environment: BASE_URL, MODEL
"""

import argparse
import collections
import itertools
import json
import os
import random
import re
import sys
import typing

import anthropic.types
import ollama._types
import openai.types
import openai.types.chat
import openai.types.responses
import openai.types.shared
import pydantic
import requests

BASE_URL = os.environ["BASE_URL"].rstrip("/")
MODEL = os.environ.get("MODEL", "cub")

# Fields beside the packages' own, and why they are there.
EXTRAS = {
    # llama-server's figures, with every final answer
    "ChatCompletion": {"timings"},
    # and with chunks on request
    "ChatCompletionChunk": {"timings", "prompt_progress"},
    "Completion": {"timings"},
    # the text of thinking, in the spellings of DeepSeek and of vLLM, OpenRouter and Ollama
    "ChatCompletionMessage": {"reasoning_content", "reasoning"},
    "ChoiceDelta": {"reasoning_content", "reasoning"},
    # llama-server's token ids
    "ChatCompletionTokenLogprob": {"id"},
    "TopLogprob": {"id"},
    # of a prompt that is too long
    "ErrorObject": {"n_prompt_tokens", "n_ctx"},
    # the context in each spelling that clients look for
    "Model": {"context_length", "context_window", "max_context_length", "max_model_len", "meta", "capabilities", "aliases", "tags",
              "architecture"},
    # llama-server's list for Ollama's clients at the same path
    "ModelPage": {"models"},
    "Response": {"timings"},
    "ResponseInProgressEvent": {"timings", "prompt_progress"},
    "ResponseTextDeltaEvent": {"timings"},
    "ResponseCompletedEvent": {"timings"},
    "ResponseIncompleteEvent": {"timings"},
    # Ollama sends these, its package drops them
    "Model_tags": {"name", "capabilities", "expires_at"},
    "ShowResponse": {"projector_info", "tensors", "system", "messages", "parent_model"},
}


class ModelPage(pydantic.BaseModel):
    """The page that openai's package reads models from; its own class takes anything."""

    data: list[openai.types.Model]
    object: typing.Literal["list"]


class ErrorBody(pydantic.BaseModel):
    """OpenAI's errors."""

    error: openai.types.shared.ErrorObject


def of_union(union) -> dict[str, type]:
    """The classes of a union of events, by their type."""
    members = typing.get_args(typing.get_args(union)[0])
    return {typing.get_args(member.model_fields["type"].annotation)[0]: member for member in members}


RESPONSE_EVENTS = of_union(openai.types.responses.ResponseStreamEvent)
ANTHROPIC_EVENTS = of_union(anthropic.types.RawMessageStreamEvent)


class Invalid(AssertionError):
    """What an answer is not."""


def unknown_fields(instance, data, allowed_of=lambda name: EXTRAS.get(name, set())) -> list[str]:
    """Fields of `data` that neither the types nor the list know."""
    found = []
    if isinstance(instance, pydantic.BaseModel) and isinstance(data, dict):
        name = type(instance).__name__
        fields = {field.alias or key: key for key, field in type(instance).model_fields.items()}
        fields |= {key: key for key in type(instance).model_fields}
        for key, value in data.items():
            if key in fields:
                found += unknown_fields(getattr(instance, fields[key]), value, allowed_of)
            elif key not in allowed_of(name):
                found.append(f"{name}.{key}")
    elif isinstance(instance, (list, tuple)) and isinstance(data, list):
        for one, item in zip(instance, data, strict=False):
            found += unknown_fields(one, item, allowed_of)
    return found


def validate(kind: type, text: str, allowed_of=None):
    """Reads `text` as `kind`, strictly."""
    try:
        instance = kind.model_validate_json(text, strict=True)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        raise Invalid(f"not a {kind.__name__}: {'.'.join(map(str, first['loc']))}: {first['msg']}: {text[:200]}") from None
    unknown = unknown_fields(instance, json.loads(text), *([allowed_of] if allowed_of else []))
    if unknown:
        raise Invalid(f"unknown fields: {', '.join(sorted(set(unknown)))}")
    return instance


def need(data: dict, *keys: str) -> None:
    """Fields that clients read though the types let them be absent."""
    missing = [key for key in keys if key not in data]
    if missing:
        raise Invalid(f"missing: {', '.join(missing)} in {json.dumps(data)[:200]}")


def expect(holds: bool, what: str) -> None:
    if not holds:
        raise Invalid(what)


def events_of(response: requests.Response) -> list[tuple[str | None, str]]:
    """The events of a stream, with SSE's grammar checked on the way."""
    expect(response.headers["content-type"].startswith("text/event-stream"), response.headers["content-type"])
    expect("no-cache" in response.headers.get("cache-control", ""), "no Cache-Control: no-cache")
    raw = response.content.decode()
    expect(raw.endswith("\n\n"), f"the stream ends within an event: {raw[-80:]!r}")
    events = []
    for block in raw[:-2].split("\n\n"):
        name, data = None, []
        for line in block.split("\n"):
            if line.startswith(":"):
                continue
            field, separator, value = line.partition(": ")
            expect(bool(separator) and field in ("data", "event"), f"a line that is not SSE: {line[:80]!r}")
            if field == "event":
                name = value
            else:
                data.append(value)
        if data:
            events.append((name, "\n".join(data)))
    return events


def post(path: str, body: dict) -> requests.Response:
    return requests.post(BASE_URL + path, json=body, headers={"Authorization": "Bearer none"}, timeout=120)


def error_of_openai(response: requests.Response) -> None:
    validate(ErrorBody, response.text)
    need(response.json()["error"], "message", "type", "param", "code")
    expect(response.json()["error"]["code"] is None or isinstance(response.json()["error"]["code"], str), "code is no string")


def chat(body: dict, response: requests.Response) -> None:
    if not body.get("stream"):
        answer = validate(openai.types.chat.ChatCompletion, response.text)
        data = response.json()
        need(data, "system_fingerprint", "usage")
        expect(data["system_fingerprint"].startswith("b"), "system_fingerprint")
        expect(sorted(c["index"] for c in data["choices"]) == list(range(body.get("n", 1))), "choices")
        for choice in data["choices"]:
            need(choice, "logprobs", "finish_reason")
            need(choice["message"], "content", "refusal", "role")
            if body.get("logprobs"):
                need(choice["logprobs"], "content", "refusal")
            calls = choice["message"].get("tool_calls") or []
            expect(not calls or choice["finish_reason"] in ("tool_calls", "length"), "finish_reason of a call")
            for call in calls if choice["finish_reason"] != "length" else []:
                expect(isinstance(json.loads(call["function"]["arguments"]), dict), "arguments")
        expect(answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens, "usage")
        return
    events = events_of(response)
    expect(events[-1][1] == "[DONE]", "no [DONE]")
    expect(all(name is None for name, _ in events), "event: in the chat dialect")
    chunks = [validate(openai.types.chat.ChatCompletionChunk, text) for _, text in events[:-1]]
    expect(len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1, "id, created or model change")
    has_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    expect((chunks[-1].choices == []) == has_usage, "a usage chunk where none was asked for, or none")
    expect(all(chunk.choices for chunk in chunks[: -1 if has_usage else None]), "choices: [] in the middle")
    if has_usage:
        for _, text in events[:-2]:
            need(json.loads(text), "usage")
    for index in range(body.get("n", 1)):
        mine = [choice for chunk in chunks for choice in chunk.choices if choice.index == index]
        expect(mine[0].delta.role == "assistant" and all(c.delta.role is None for c in mine[1:]), "role")
        expect([c.finish_reason for c in mine[:-1]] == [None] * (len(mine) - 1), "finish_reason before the end")
        expect(mine[-1].finish_reason is not None and mine[-1].delta.content is None, "the last delta")


def completion(body: dict, response: requests.Response) -> None:
    if not body.get("stream"):
        validate(openai.types.Completion, response.text)
        need(response.json(), "usage", "system_fingerprint")
        for choice in response.json()["choices"]:
            need(choice, "logprobs", "finish_reason", "index", "text")
        return
    events = events_of(response)
    expect(events[-1][1] == "[DONE]", "no [DONE]")
    # The last one alone says why it ended; the types have no null there, but the service sends it.
    for _, text in events[:-1]:
        data = json.loads(text)
        for choice in data["choices"]:
            choice["finish_reason"] = choice["finish_reason"] or "stop"
        validate(openai.types.Completion, json.dumps(data))


def responses(body: dict, response: requests.Response) -> None:
    if not body.get("stream"):
        answer = validate(openai.types.responses.Response, response.text)
        need(response.json(), "error", "incomplete_details", "instructions", "metadata", "temperature", "top_p", "usage", "status")
        expect(answer.status in ("completed", "incomplete"), f"status {answer.status}")
        return
    events = events_of(response)
    kinds = []
    for number, (name, text) in enumerate(events):
        data = json.loads(text)
        expect(data["type"] == name, f"event: {name} of {data['type']}")
        expect(data.get("sequence_number") == number, f"sequence_number {data.get('sequence_number')}, not {number}")
        validate(RESPONSE_EVENTS[name], text)
        kinds.append(name)
    expect(kinds[:2] == ["response.created", "response.in_progress"], f"{kinds[:2]}")
    expect(kinds[-1] in ("response.completed", "response.incomplete"), kinds[-1])


def embeddings(body: dict, response: requests.Response) -> None:
    data = response.json()
    if body.get("encoding_format") == "base64":
        for item in data["data"]:
            expect(isinstance(item["embedding"], str), "base64")
            item["embedding"] = [0.5]
    validate(openai.types.CreateEmbeddingResponse, json.dumps(data))


def messages(body: dict, response: requests.Response) -> None:
    if not body.get("stream"):
        validate(anthropic.types.Message, response.text)
        need(response.json(), "stop_reason", "stop_sequence")
        return
    open_blocks, kinds = {}, []
    for name, text in events_of(response):
        data = json.loads(text)
        expect(data["type"] == name, f"event: {name} of {data['type']}")
        if name == "ping":
            continue
        validate(ANTHROPIC_EVENTS[name], text)
        kinds.append(name)
        if name == "content_block_start":
            expect(data["index"] == len(open_blocks), "index")
            open_blocks[data["index"]] = True
        elif name == "content_block_stop":
            expect(open_blocks.get(data["index"]) is True, "a block that is not open ends")
            open_blocks[data["index"]] = False
    expect(kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"], f"{kinds}")
    expect(not any(open_blocks.values()), "a block stays open")


def error_of_anthropic(response: requests.Response) -> None:
    validate(anthropic.types.ErrorResponse, response.text, lambda name: {"request_id"})


def of_ollama(kind: type):
    def judge(body: dict, response: requests.Response) -> None:
        if not body.get("stream", kind is not ollama._types.EmbedResponse):
            validate(kind, response.text)
            return
        expect(response.headers["content-type"].startswith("application/x-ndjson"), response.headers["content-type"])
        lines = response.text.split("\n")
        expect(lines.pop() == "" and all(lines), "a blank line, or none at the end")
        parts = [validate(kind, line) for line in lines]
        expect([part.done for part in parts] == [False] * (len(parts) - 1) + [True], "done")
        need(json.loads(lines[-1]), "done_reason", "total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration",
             "eval_count", "eval_duration")
        for line in lines:
            need(json.loads(line), "model", "created_at")
            expect(bool(re.match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$", json.loads(line)["created_at"])), "created_at")

    return judge


def error_of_ollama(response: requests.Response) -> None:
    expect(set(response.json()) == {"error"} and isinstance(response.json()["error"], str), response.text[:200])


SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 12}}, "required": ["city"], "additionalProperties": False}
FUNCTION = {"name": "weather", "description": "The forecast", "parameters": SCHEMA}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}
ASK = {"role": "user", "content": "What is a daemon?"}
ABSENT = object()

# Route, judge of answers, judge of errors, what stays, what varies.
ROUTES = {
    "openai": [
        ("/v1/chat/completions", chat, error_of_openai, {}, {
            "messages": [[ASK], [{"role": "system", "content": "Be brief."}, ASK], [{"role": "developer", "content": "Be brief."}, ASK],
                         [{"role": "user", "content": [{"type": "text", "text": "What is"}, {"type": "text", "text": "a pipe?"}]}],
                         [ASK, {"role": "assistant", "content": None, "tool_calls": [CALL]},
                          {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}],
                         [], "text", [{"role": "robot", "content": "x"}], [{"role": "user", "content": "word " * 20000}]],
            "max_tokens": [12, 1, 60], "max_completion_tokens": [ABSENT, ABSENT, 5],
            "stream": [False, True, True], "stream_options": [ABSENT, {"include_usage": True}, {"include_usage": False}],
            "n": [ABSENT, ABSENT, 2], "temperature": [ABSENT, 0, 1.5, 3], "top_p": [ABSENT, 0.5], "seed": [ABSENT, 3],
            "stop": [ABSENT, ABSENT, "the", ["a b", "."]], "logprobs": [ABSENT, ABSENT, True], "top_logprobs": [ABSENT, ABSENT, 2],
            "tools": [ABSENT, ABSENT, [{"type": "function", "function": FUNCTION}]],
            "tool_choice": [ABSENT, "auto", "required", "none", {"type": "function", "function": {"name": "weather"}}],
            "response_format": [ABSENT, ABSENT, ABSENT, {"type": "text"}, {"type": "json_object"},
                                {"type": "json_schema", "json_schema": {"name": "w", "strict": True, "schema": SCHEMA}}],
            "logit_bias": [ABSENT, ABSENT, {"7": -100}], "frequency_penalty": [ABSENT, 0.5], "user": [ABSENT, "me"],
            "store": [ABSENT, False], "metadata": [ABSENT, {"a": "b"}], "parallel_tool_calls": [ABSENT, False],
            "timings_per_token": [ABSENT, ABSENT, True],
        }),
        ("/v1/completions", completion, error_of_openai, {}, {
            "prompt": ["A daemon is", "", ["A", "B"], 7, ABSENT], "max_tokens": [8, 1], "stream": [False, True],
            "logprobs": [ABSENT, 2], "temperature": [0, 1, -1], "stop": [ABSENT, ["a"]], "n": [ABSENT, 2], "echo": [ABSENT, ABSENT, False],
            "stream_options": [ABSENT, ABSENT, {"include_usage": True}],
        }),
        ("/v1/responses", responses, error_of_openai, {}, {
            "input": ["What is a daemon?", [ASK], [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
                      [ASK, {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"},
                       {"type": "function_call_output", "call_id": "c", "output": "sunny"}], 7],
            "instructions": [ABSENT, "Be brief."], "stream": [False, True], "max_output_tokens": [16, 60, ABSENT],
            "tools": [ABSENT, [{"type": "function", "strict": True, **FUNCTION}]], "tool_choice": [ABSENT, "auto", "required"],
            "text": [ABSENT, ABSENT, {"format": {"type": "json_schema", "name": "w", "schema": SCHEMA, "strict": True}}],
            "temperature": [ABSENT, 0], "store": [ABSENT, False], "reasoning": [ABSENT, {"effort": "low"}], "include": [ABSENT, []],
            "parallel_tool_calls": [ABSENT, True], "metadata": [ABSENT, {"a": "b"}],
        }),
        ("/v1/embeddings", embeddings, error_of_openai, {}, {
            "input": ["a daemon", ["a", "b"], [12, 13, 14], [[12, 13], [14]], [], True],
            "encoding_format": [ABSENT, "float", "base64", 1],
        }),
    ],
    "anthropic": [
        ("/v1/messages", messages, error_of_anthropic, {}, {
            "messages": [[ASK], [ASK, {"role": "assistant", "content": "A program."}, ASK],
                         [ASK, {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "weather", "input": {"city": "Rome"}}]},
                          {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "sunny"}]}],
                         "text", [{"role": "robot", "content": "x"}], [{"role": "user", "content": "word " * 20000}]],
            "max_tokens": [12, 1, 60, ABSENT], "system": [ABSENT, "Be brief.", [{"type": "text", "text": "Be brief."}]],
            "stream": [False, True, True], "stop_sequences": [ABSENT, ["the"]], "temperature": [ABSENT, 0, 7],
            "tools": [ABSENT, [{"name": "weather", "description": "The forecast", "input_schema": SCHEMA}]],
            "tool_choice": [ABSENT, ABSENT, {"type": "auto"}, {"type": "any"}, {"type": "tool", "name": "weather"}],
            "top_k": [ABSENT, 5], "metadata": [ABSENT, {"user_id": "me"}],
        }),
    ],
    "ollama": [
        ("/api/chat", of_ollama(ollama._types.ChatResponse), error_of_ollama, {}, {
            "messages": [[ASK], [{"role": "system", "content": "Be brief."}, ASK], [], "text",
                         [ASK, {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "x"}}}]},
                          {"role": "tool", "content": "sunny", "tool_name": "weather"}]],
            "stream": [ABSENT, True, False], "options": [{"num_predict": 8}, {"num_predict": 60, "temperature": 0, "stop": ["the"]},
                                                         {"num_predict": 8, "num_ctx": 10**6}, {"temperature": "hot"}],
            "format": [ABSENT, ABSENT, "json", SCHEMA], "tools": [ABSENT, ABSENT, [{"type": "function", "function": FUNCTION}]],
            "keep_alive": [ABSENT, "5m", -1, 300], "think": [ABSENT, False],
        }),
        ("/api/generate", of_ollama(ollama._types.GenerateResponse), error_of_ollama, {}, {
            "prompt": ["A daemon is", "What is a pipe?", 7], "stream": [ABSENT, True, False], "system": [ABSENT, "Be brief."],
            "options": [{"num_predict": 8}], "format": [ABSENT, ABSENT, "json"], "raw": [ABSENT, True], "keep_alive": [ABSENT, "5m"],
        }),
        ("/api/embed", of_ollama(ollama._types.EmbedResponse), error_of_ollama, {}, {
            "input": ["a daemon", ["a", "b"], 7], "truncate": [ABSENT, True],
        }),
    ],
}


def judge_lists(report: collections.Counter, dialect: str) -> None:
    """What is read, not asked."""
    cases = {
        "openai": [("GET", "/v1/models", None, ModelPage), ("GET", f"/v1/models/{MODEL}", None, openai.types.Model)],
        "anthropic": [("POST", "/v1/messages/count_tokens", {"model": MODEL, "messages": [ASK]}, anthropic.types.MessageTokensCount)],
        "ollama": [("GET", "/api/tags", None, ollama._types.ListResponse), ("GET", "/api/ps", None, ollama._types.ProcessResponse),
                   ("POST", "/api/show", {"model": MODEL}, ollama._types.ShowResponse)],
    }
    for method, path, body, kind in cases[dialect]:
        response = requests.request(method, BASE_URL + path, json=body, timeout=60)
        try:
            expect(response.status_code == 200, f"{response.status_code}: {response.text[:100]}")
            own = EXTRAS["Model_tags"] if dialect == "ollama" else set()
            validate(kind, response.text, lambda name, own=own: EXTRAS.get(name, set()) | own)
            report[path, "ok"] += 1
        except Invalid as error:
            report[path, str(error)] += 1


def variant(dice: random.Random, fixed: dict, varied: dict) -> dict:
    """A body: mostly the first of the values, so that most of them are valid."""
    body = {"model": MODEL, **fixed}
    for key, values in varied.items():
        value = dice.choice(values) if dice.random() < 0.4 else values[0]
        if value is not ABSENT:
            body[key] = value
    return body


def single(fixed: dict, varied: dict):
    """Each value of each field once, all others being the first."""
    for key, values in varied.items():
        for value in values:
            first = {k: v[0] for k, v in varied.items()} | {key: value}
            yield {"model": MODEL, **fixed, **{k: v for k, v in first.items() if v is not ABSENT}}


def judge_route(report: collections.Counter, dice: random.Random, n: int, route: tuple) -> None:
    path, judge, judge_error, fixed, varied = route
    drawn = (variant(dice, fixed, varied) for _ in range(n))
    for body in itertools.chain(single(fixed, varied), drawn):
        response = post(path, body)
        try:
            if response.status_code == 200:
                judge(body, response)
            else:
                expect(400 <= response.status_code < 500, f"status {response.status_code}: {response.text[:100]}")
                judge_error(response)
            report[path, "ok"] += 1
        except Exception as error:  # whatever a client would stumble over, a KeyError included
            text = str(error) if isinstance(error, Invalid) else f"{type(error).__name__}: {error}"
            report[path, text] += 1
            if os.environ.get("DIALECTS_TRACE"):
                print(f"{path} {json.dumps(body)[:400]}\n  {text}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--variants", type=int, default=150, help="random bodies for each route")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dialect", choices=ROUTES, action="append")
    arguments = parser.parse_args()
    report: collections.Counter = collections.Counter()
    for dialect in arguments.dialect or ROUTES:
        judge_lists(report, dialect)
        for route in ROUTES[dialect]:
            judge_route(report, random.Random(arguments.seed), arguments.variants, route)
    paths = sorted({path for path, _ in report})
    for path in paths:
        wrong = {text: n for (of, text), n in report.items() if of == path and text != "ok"}
        print(f"{'FAIL' if wrong else 'ok'} {path}: {report[path, 'ok']} valid, {sum(wrong.values())} not", flush=True)
        for text, n in sorted(wrong.items(), key=lambda pair: -pair[1])[:12]:
            print(f"  {n} x {text}")
    sys.exit(1 if any(text != "ok" for _, text in report) else 0)


if __name__ == "__main__":
    main()
