"""Validates /v1/responses strictly by the types of the openai package: responses_types.py http://127.0.0.1:8484"""

import json
import sys
import urllib.error
import urllib.request

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

EVENT = TypeAdapter(ResponseStreamEvent)
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": True}
ITEMS = [
    {"role": "developer", "content": "Be brief"},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
    {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "42"}]},
]
GOOD = [
    {"input": "Say hello", "max_output_tokens": 6},
    {"input": "What are you?", "include": ["message.output_text.logprobs"], "top_logprobs": 2},
    {
        "input": ITEMS,
        "instructions": "Help.",
        "max_output_tokens": 12,
        "metadata": {"a": "b"},
        "user": "u",
        "reasoning": {"effort": "low", "summary": "auto"},
        "store": True,
        "include": ["reasoning.encrypted_content"],
    },
    {"input": "Give JSON", "text": {"format": {"type": "json_schema", "name": "x", "strict": True, "schema": SCHEMA}}},
    {"input": "hi", "tools": [FUNCTION, {"type": "web_search"}], "tool_choice": "none", "parallel_tool_calls": False},
]
BAD = [
    {},
    {"input": []},
    {"input": "x", "previous_response_id": "r"},
    {"input": "x", "conversation": "c"},
    {"input": "x", "background": True},
    {"input": [{"type": "item_reference", "id": "x"}]},
    {"input": "x", "max_output_tokens": 0},
    {"input": "x", "temperature": 3},
]


def post(body):
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(sys.argv[1] + "/v1/responses", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


for body in GOOD:
    status, text = post(body)
    assert status == 200, text
    Response.model_validate_json(text, strict=True)
    status, text = post({**body, "stream": True})
    assert status == 200, text
    blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    for number, block in enumerate(blocks):
        name, data = block.split("\n")
        EVENT.validate_json(data.removeprefix("data: "), strict=True)
        event = json.loads(data.removeprefix("data: "))
        assert (name, event["sequence_number"]) == ("event: " + event["type"], number), block
for body in BAD:
    status, text = post(body)
    error = json.loads(text)["error"]
    assert status == 400 and {"message", "type", "param", "code"} <= error.keys(), text
print(len(GOOD), "answers, their streams and", len(BAD), "refusals are valid")
