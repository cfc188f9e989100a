"""Holds single answers against the types of the openai, anthropic and ollama packages. Sends nothing."""

import json
import re
import typing

import anthropic.types
import ollama._types
import openai.types
import openai.types.chat
import openai.types.responses
import openai.types.shared
import pydantic
import requests


# Fields that the packages do not know, and their reasons.
EXTRAS = {
    # llama-server's figures, in every final answer
    "ChatCompletion": {"timings"},
    # and in chunks, on request
    "ChatCompletionChunk": {"timings", "prompt_progress"},
    "Completion": {"timings"},
    # the text of thinking, in the spellings of DeepSeek and of vLLM, OpenRouter and Ollama
    "ChatCompletionMessage": {"reasoning_content", "reasoning"},
    "ChoiceDelta": {"reasoning_content", "reasoning"},
    # llama-server's token ids
    "ChatCompletionTokenLogprob": {"id"},
    "TopLogprob": {"id"},
    # sizes of a prompt that is too long
    "ErrorObject": {"n_prompt_tokens", "n_ctx"},
    # the context under every name that clients look for
    "Model": {
        "context_length",
        "context_window",
        "max_context_length",
        "max_model_len",
        "meta",
        # as llama-server's router
        "status",
        "capabilities",
        "aliases",
        "tags",
        "architecture",
    },
    # llama-server's list for Ollama's clients at the same path
    "ModelPage": {"models"},
    # sent by the service, not read by the package
    "Response": {"timings", "store"},
    "ResponseInProgressEvent": {"timings", "prompt_progress"},
    "ResponseTextDeltaEvent": {"timings"},
    "ResponseCompletedEvent": {"timings"},
    "ResponseIncompleteEvent": {"timings"},
    # sent by Ollama, dropped by its package
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
        raise Invalid(
            f"not a {kind.__name__}: {'.'.join(map(str, first['loc']))}: {first['msg']}: {text[:200]}"
        ) from None
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


def error_of_openai(response: requests.Response) -> None:
    validate(ErrorBody, response.text)
    need(response.json()["error"], "message", "type", "param", "code")
    expect(
        response.json()["error"]["code"] is None or isinstance(response.json()["error"]["code"], str),
        "code is no string",
    )


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
    # Only the last one has a finish reason; the types allow no null in the others, but the service sends it.
    for _, text in events[:-1]:
        data = json.loads(text)
        for choice in data["choices"]:
            choice["finish_reason"] = choice["finish_reason"] or "stop"
        validate(openai.types.Completion, json.dumps(data))


def responses(body: dict, response: requests.Response) -> None:
    if not body.get("stream"):
        answer = validate(openai.types.responses.Response, response.text)
        need(
            response.json(),
            "error",
            "incomplete_details",
            "instructions",
            "metadata",
            "temperature",
            "top_p",
            "usage",
            "status",
        )
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


FIGURES = (
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
)


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
        last = json.loads(lines[-1])
        need(last, "done_reason")
        # An empty request only loads the model, for which Ollama reports no counts.
        counted = last["done_reason"] not in ("load", "unload")
        need(last, *(FIGURES if counted else ()))
        for line in lines:
            need(json.loads(line), "model", "created_at")
            expect(
                bool(
                    re.match(
                        r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$", json.loads(line)["created_at"]
                    )
                ),
                "created_at",
            )

    return judge


def error_of_ollama(response: requests.Response) -> None:
    expect(set(response.json()) == {"error"} and isinstance(response.json()["error"], str), response.text[:200])
