"""The routes that typed.py asks, who judges their answers, and the values that each field takes in turn."""

import judges
import ollama._types

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 12}},
    "required": ["city"],
    "additionalProperties": False,
}
FUNCTION = {"name": "weather", "description": "The forecast", "parameters": SCHEMA}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}
ASK = {"role": "user", "content": "What is a daemon?"}
ABSENT = object()

# Route, judge of answers, judge of errors, constant part, varying parts.
ROUTES = {
    "openai": [
        (
            "/v1/chat/completions",
            judges.chat,
            judges.error_of_openai,
            {},
            {
                "messages": [
                    [ASK],
                    [{"role": "system", "content": "Be brief."}, ASK],
                    [{"role": "developer", "content": "Be brief."}, ASK],
                    [
                        {
                            "role": "user",
                            "content": [{"type": "text", "text": "What is"}, {"type": "text", "text": "a pipe?"}],
                        }
                    ],
                    [
                        ASK,
                        {"role": "assistant", "content": None, "tool_calls": [CALL]},
                        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
                    ],
                    [],
                    "text",
                    [{"role": "robot", "content": "x"}],
                    [{"role": "user", "content": "word " * 20000}],
                ],
                "max_tokens": [12, 1, 60],
                "max_completion_tokens": [ABSENT, ABSENT, 5],
                "stream": [False, True, True],
                "stream_options": [ABSENT, {"include_usage": True}, {"include_usage": False}],
                "n": [ABSENT, ABSENT, 2],
                "temperature": [ABSENT, 0, 1.5, 3],
                "top_p": [ABSENT, 0.5],
                "seed": [ABSENT, 3],
                "stop": [ABSENT, ABSENT, "the", ["a b", "."]],
                "logprobs": [ABSENT, ABSENT, True],
                "top_logprobs": [ABSENT, ABSENT, 2],
                "tools": [ABSENT, ABSENT, [{"type": "function", "function": FUNCTION}]],
                "tool_choice": [
                    ABSENT,
                    "auto",
                    "required",
                    "none",
                    {"type": "function", "function": {"name": "weather"}},
                ],
                "response_format": [
                    ABSENT,
                    ABSENT,
                    ABSENT,
                    {"type": "text"},
                    {"type": "json_object"},
                    {"type": "json_schema", "json_schema": {"name": "w", "strict": True, "schema": SCHEMA}},
                ],
                "logit_bias": [ABSENT, ABSENT, {"7": -100}],
                "frequency_penalty": [ABSENT, 0.5],
                "user": [ABSENT, "me"],
                "store": [ABSENT, False],
                "metadata": [ABSENT, {"a": "b"}],
                "parallel_tool_calls": [ABSENT, False],
                "timings_per_token": [ABSENT, ABSENT, True],
            },
        ),
        (
            "/v1/completions",
            judges.completion,
            judges.error_of_openai,
            {},
            {
                "prompt": ["A daemon is", "", ["A", "B"], 7, ABSENT],
                "max_tokens": [8, 1],
                "stream": [False, True],
                "logprobs": [ABSENT, 2],
                "temperature": [0, 1, -1],
                "stop": [ABSENT, ["a"]],
                "n": [ABSENT, 2],
                "echo": [ABSENT, ABSENT, False],
                "stream_options": [ABSENT, ABSENT, {"include_usage": True}],
            },
        ),
        (
            "/v1/responses",
            judges.responses,
            judges.error_of_openai,
            {},
            {
                "input": [
                    "What is a daemon?",
                    [ASK],
                    [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
                    [
                        ASK,
                        {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"},
                        {"type": "function_call_output", "call_id": "c", "output": "sunny"},
                    ],
                    7,
                ],
                "instructions": [ABSENT, "Be brief."],
                "stream": [False, True],
                "max_output_tokens": [16, 60, ABSENT],
                "tools": [ABSENT, [{"type": "function", "strict": True, **FUNCTION}]],
                "tool_choice": [ABSENT, "auto", "required"],
                "text": [
                    ABSENT,
                    ABSENT,
                    {"format": {"type": "json_schema", "name": "w", "schema": SCHEMA, "strict": True}},
                ],
                "temperature": [ABSENT, 0],
                "store": [ABSENT, False],
                "reasoning": [ABSENT, {"effort": "low"}],
                "include": [ABSENT, []],
                "parallel_tool_calls": [ABSENT, True],
                "metadata": [ABSENT, {"a": "b"}],
            },
        ),
        (
            "/v1/embeddings",
            judges.embeddings,
            judges.error_of_openai,
            {},
            {
                "input": ["a daemon", ["a", "b"], [12, 13, 14], [[12, 13], [14]], [], True],
                "encoding_format": [ABSENT, "float", "base64", 1],
            },
        ),
    ],
    "anthropic": [
        (
            "/v1/messages",
            judges.messages,
            judges.error_of_anthropic,
            {},
            {
                "messages": [
                    [ASK],
                    [ASK, {"role": "assistant", "content": "A program."}, ASK],
                    [
                        ASK,
                        {
                            "role": "assistant",
                            "content": [{"type": "tool_use", "id": "t", "name": "weather", "input": {"city": "Rome"}}],
                        },
                        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "sunny"}]},
                    ],
                    "text",
                    [{"role": "robot", "content": "x"}],
                    [{"role": "user", "content": "word " * 20000}],
                ],
                "max_tokens": [12, 1, 60, ABSENT],
                "system": [ABSENT, "Be brief.", [{"type": "text", "text": "Be brief."}]],
                "stream": [False, True, True],
                "stop_sequences": [ABSENT, ["the"]],
                "temperature": [ABSENT, 0, 7],
                "tools": [ABSENT, [{"name": "weather", "description": "The forecast", "input_schema": SCHEMA}]],
                "tool_choice": [ABSENT, ABSENT, {"type": "auto"}, {"type": "any"}, {"type": "tool", "name": "weather"}],
                "top_k": [ABSENT, 5],
                "metadata": [ABSENT, {"user_id": "me"}],
            },
        ),
    ],
    "ollama": [
        (
            "/api/chat",
            judges.of_ollama(ollama._types.ChatResponse),
            judges.error_of_ollama,
            {},
            {
                "messages": [
                    [ASK],
                    [{"role": "system", "content": "Be brief."}, ASK],
                    [],
                    "text",
                    [
                        ASK,
                        {
                            "role": "assistant",
                            "content": "",
                            "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "x"}}}],
                        },
                        {"role": "tool", "content": "sunny", "tool_name": "weather"},
                    ],
                ],
                "stream": [ABSENT, True, False],
                "options": [
                    {"num_predict": 8},
                    {"num_predict": 60, "temperature": 0, "stop": ["the"]},
                    {"num_predict": 8, "num_ctx": 10**6},
                    {"temperature": "hot"},
                ],
                "format": [ABSENT, ABSENT, "json", SCHEMA],
                "tools": [ABSENT, ABSENT, [{"type": "function", "function": FUNCTION}]],
                "keep_alive": [ABSENT, "5m", -1, 300],
                "think": [ABSENT, False],
            },
        ),
        (
            "/api/generate",
            judges.of_ollama(ollama._types.GenerateResponse),
            judges.error_of_ollama,
            {},
            {
                "prompt": ["A daemon is", "What is a pipe?", 7],
                "stream": [ABSENT, True, False],
                "system": [ABSENT, "Be brief."],
                "options": [{"num_predict": 8}],
                "format": [ABSENT, ABSENT, "json"],
                "raw": [ABSENT, True],
                "keep_alive": [ABSENT, "5m"],
            },
        ),
        (
            "/api/embed",
            judges.of_ollama(ollama._types.EmbedResponse),
            judges.error_of_ollama,
            {},
            {
                "input": ["a daemon", ["a", "b"], 7],
                "truncate": [ABSENT, True],
            },
        ),
    ],
}
