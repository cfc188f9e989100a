"""Sends damaged bodies to every route that takes one. No answer may be a 5xx but 501 and 503, and the daemon must stay.

Usage: fuzz.py [-n N] [--seed S] [--threads T] [--only I]     --only repeats one case of a seed and prints it
Environment: BASE_URL, MODEL, DAEMON_PID (optional)
"""

import argparse
import collections
import copy
import gzip
import http.client
import json
import os
import random
import socket
import sys
import threading
import time
import urllib.parse
import zlib

BASE_URL = os.environ["BASE_URL"].rstrip("/")
MODEL = os.environ.get("MODEL", "cub")
ADDRESS = urllib.parse.urlsplit(BASE_URL)
ALLOWED = {501, 503}
BOMB = 128 << 20  # decoded bytes; more than any server should take

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 0}}, "required": ["a"]}
FUNCTION = {"name": "f", "description": "d", "parameters": SCHEMA}
ASK = [{"role": "user", "content": "Hi"}]
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CHAT = {
    "model": MODEL,
    "messages": ASK,
    "max_tokens": 2,
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 5,
    "min_p": 0.1,
    "seed": 1,
    "stop": ["x"],
    "stream": False,
    "n": 1,
    "logprobs": True,
    "top_logprobs": 2,
    "logit_bias": {"7": -1},
    "presence_penalty": 0.1,
    "frequency_penalty": 0.1,
    "repeat_penalty": 1.1,
    "dry_multiplier": 0.8,
    "dry_base": 1.75,
    "dry_allowed_length": 2,
    "dry_penalty_last_n": -1,
    "xtc_probability": 0.5,
    "xtc_threshold": 0.1,
    "tools": [{"type": "function", "function": FUNCTION}],
    "tool_choice": "auto",
    "response_format": {"type": "text"},
    "stream_options": None,
    "user": "u",
    "id_slot": 0,
    "cache_prompt": True,
}
PLAIN = {"model": MODEL, "messages": ASK, "max_tokens": 2}
SEEDS = [
    ("/v1/chat/completions", CHAT),
    ("/v1/chat/completions", PLAIN),
    ("/v1/chat/completions", {**PLAIN, "stream": True}),
    (
        "/v1/chat/completions",
        {
            **PLAIN,
            "messages": [
                *ASK,
                {"role": "assistant", "content": None, "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "c", "content": "1"},
            ],
        },
    ),
    (
        "/v1/chat/completions",
        {
            **PLAIN,
            "max_tokens": 8,
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
        },
    ),
    ("/v1/chat/completions", {**PLAIN, "grammar": 'root ::= "a" [b-c]{1,3}'}),
    ("/chat/completions/input_tokens", PLAIN),
    (
        "/v1/completions",
        {"model": MODEL, "prompt": ["a", [12, 13]], "max_tokens": 2, "logprobs": 1, "echo": False, "suffix": None},
    ),
    (
        "/v1/responses",
        {
            "model": MODEL,
            "input": ASK,
            "instructions": "i",
            "max_output_tokens": 16,
            "stream": True,
            "tools": [{"type": "function", "strict": True, **FUNCTION}],
            "text": {"format": {"type": "text"}},
        },
    ),
    ("/v1/responses/input_tokens", {"model": MODEL, "input": "Hi"}),
    ("/v1/embeddings", {"model": MODEL, "input": ["a", [12]], "encoding_format": "base64", "dimensions": None}),
    (
        "/v1/messages",
        {
            "model": MODEL,
            "max_tokens": 2,
            "system": [{"type": "text", "text": "s"}],
            "messages": ASK,
            "stop_sequences": ["x"],
            "tools": [{"name": "f", "description": "d", "input_schema": SCHEMA}],
            "tool_choice": {"type": "auto"},
            "stream": True,
            "thinking": {"type": "disabled"},
            "temperature": 0.5,
            "top_k": 3,
        },
    ),
    ("/v1/messages/count_tokens", {"model": MODEL, "messages": ASK}),
    (
        "/api/chat",
        {
            "model": MODEL,
            "messages": ASK,
            "options": {"num_predict": 2, "num_ctx": 128, "seed": 1, "stop": ["x"]},
            "format": "json",
            "keep_alive": "5m",
            "think": False,
            "tools": [{"type": "function", "function": FUNCTION}],
        },
    ),
    (
        "/api/generate",
        {
            "model": MODEL,
            "prompt": "Hi",
            "options": {"num_predict": 2},
            "raw": False,
            "stream": False,
            "keep_alive": 60,
        },
    ),
    ("/api/embed", {"model": MODEL, "input": ["a", "b"], "truncate": True}),
    ("/api/show", {"model": MODEL, "name": MODEL, "verbose": True}),
    ("/api/pull", {"model": "no-such-model", "stream": False}),
    (
        "/completion",
        {
            "prompt": ["Hi", [12, "x"]],
            "n_predict": 2,
            "n_probs": 2,
            "stop": ["x"],
            "logit_bias": [[7, -1]],
            "ignore_eos": True,
            "response_fields": ["content"],
            "return_tokens": True,
            "samplers": ["top_k"],
            "n_keep": 0,
            "n_discard": 0,
        },
    ),
    ("/tokenize", {"content": "a b", "add_special": True, "with_pieces": True}),
    ("/detokenize", {"tokens": [1, 12, 13]}),
    ("/apply-template", {"messages": ASK, "tools": None, "add_generation_prompt": True}),
]
HOSTILE = [
    None,
    True,
    False,
    0,
    -1,
    1,
    2,
    2**31 - 1,
    2**31,
    -(2**31),
    2**63,
    2**64,
    10**40,
    0.5,
    -0.5,
    1e308,
    -1e308,
    5e-324,
    "",
    "x",
    "\0",
    "a" * 5000,
    "\u2028",
    "\U0001f600" * 50,
    "é" * 200,
    "-1",
    "null",
    "../../etc/passwd",
    "file:///etc/passwd",
    "{{ 7*7 }}",
    "{% for i in range(10**9) %}{% endfor %}",
    [],
    {},
    [[]],
    [None],
    [1, "a", {}],
    {"": ""},
    {"type": "text"},
    {"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/"}},
    {"type": "object", "properties": {"x": {"$ref": "#"}}},
    {"$ref": "#/definitions/none"},
    {"type": "string", "pattern": "(a*)*$" * 20},
    {"type": "array", "items": {"type": "integer"}, "minItems": 10**9},
    {"type": "string", "minLength": 10**12},
    {"type": "integer", "minimum": -(10**30), "maximum": 10**30},
    "root ::= root",
    "root ::= " + "(" * 2000,
    'root ::= "a"{1000000}',
    {"allOf": [{"$ref": "#"}] * 5},
    {"anyOf": [{"type": "string"}] * 2000},
    {"enum": list(range(3000))},
    {"const": "\ud800"},
    "\ud83d",
]
LITERALS = [
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e400",
    b"-0",
    b"1E+999999",
    b"00",
    b"0x10",
    b".5",
    b"9" * 400,
    b'"\\ud800"',
    b'"\\udfff\\ud800"',
    b'"\\x"',
    b'"\xff\xfe"',
    b'"\xc0\x80"',
    b'"\xed\xa0\x80"',
    b"'single'",
    b"nul",
    b'"\x00"',
    b"[" * 5000 + b"]" * 5000,
    b"[" * 20000,
    b'{"a":' * 10000 + b"1" + b"}" * 10000,
]
MARK = "\u0001mark\u0001"


def places(value, at=()):
    """Places in a body; of long lists only some."""
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value[:20]) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*at, key))


def put(body, at, value):
    """The body with another value at that place."""
    if not at:
        return value
    body = copy.deepcopy(body)
    inner = body
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = value
    return body


def mutate_value(dice: random.Random, body):
    at = dice.choice(list(places(body)))
    kind = dice.randrange(6)
    if kind < 3 or not at:
        return put(body, at if at else (), dice.choice(HOSTILE)) if at or kind == 0 else body
    if kind == 3:
        body = copy.deepcopy(body)
        inner = body
        for key in at[:-1]:
            inner = inner[key]
        del inner[at[-1]]
        return body
    if kind == 4:
        other = dice.choice(list(places(body)))
        source = body
        for key in other:
            source = source[key]
        return put(body, at, copy.deepcopy(source))
    inner = body
    for key in at:
        inner = inner[key]
    n = dice.choice([2, 50, 2000])
    return put(body, at, [copy.deepcopy(inner) for _ in range(n)] if len(json.dumps(inner)) * n < 400_000 else inner)


def encode(dice: random.Random, body) -> bytes:
    raw = json.dumps(body, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass")
    kind = dice.randrange(14)
    if kind == 0 and isinstance(body, dict) and body:
        at = dice.choice(list(places(body)))
        marked = json.dumps(put(body, at, MARK)).encode()
        return marked.replace(json.dumps(MARK).encode(), dice.choice(LITERALS))
    if kind == 1:
        return raw[: dice.randrange(len(raw))]
    if kind == 2:
        data = bytearray(raw)
        for _ in range(dice.choice([1, 3, 20])):
            data[dice.randrange(len(data))] = dice.randrange(256)
        return bytes(data)
    if kind == 3:
        return dice.choice(
            [
                b"",
                b" ",
                b"\xef\xbb\xbf" + raw,
                raw + raw,
                raw + b"\0",
                raw.decode("utf-8", "replace").encode("utf-16"),
                b"[]",
                b"7",
                b"null",
                b"\x28\xb5\x2f\xfd",
                dice.randbytes(300),
                b"{" + b'"model":"a",' * 500 + raw[1:],
            ]
        )
    return raw


def bombs() -> dict[str, bytes]:
    """Small bodies that unpack to more than anybody should take."""
    packed = {"gzip": gzip.compress(b" " * BOMB, 1), "deflate": zlib.compress(b"[" * BOMB, 1)}
    try:
        import zstandard

        packed["zstd"] = zstandard.ZstdCompressor().compress(b" " * BOMB)
    except ImportError:
        pass
    return packed


BOMBS: dict[str, bytes] = {}


def case(seed: int, i: int) -> tuple[str, bytes, dict[str, str]]:
    """The i-th request of a seed."""
    dice = random.Random(f"{seed}:{i}")
    path, body = dice.choice(SEEDS)
    for _ in range(dice.choice([0, 1, 1, 1, 2, 4])):
        if isinstance(body, dict):
            body = mutate_value(dice, body)
    raw = encode(dice, body)
    headers = {"Content-Type": "application/json", "Authorization": "Bearer none"}
    kind = dice.randrange(40)
    if kind == 0:
        headers["Content-Encoding"], raw = "gzip", gzip.compress(raw)
    elif kind == 1:
        headers["Content-Encoding"] = dice.choice(["gzip", "zstd", "br", "deflate", "identity", "gzip, gzip", "x"])
    elif kind == 2 and i % 10 == 0 and BOMBS:
        headers["Content-Encoding"], raw = dice.choice(sorted(BOMBS.items()))
    elif kind == 3:
        headers["Content-Type"] = dice.choice(
            [
                "text/plain",
                "application/x-www-form-urlencoded",
                "",
                "application/json; charset=utf-16",
                "multipart/form-data",
            ]
        )
    elif kind == 4:
        headers["Content-Encoding"], raw = "gzip", gzip.compress(raw)[: dice.randrange(1, 30)]
    return path, raw, headers


class Fuzzer:
    def __init__(self, arguments):
        self.arguments, self.next, self.lock = arguments, 0, threading.Lock()
        self.statuses, self.failures, self.slow = collections.Counter(), [], []

    def take(self) -> int | None:
        with self.lock:
            if self.next >= self.arguments.n or len(self.failures) >= 20:
                return None
            self.next += 1
            return self.next - 1

    def send(self, connection: http.client.HTTPConnection, i: int) -> http.client.HTTPConnection:
        path, raw, headers = case(self.arguments.seed, i)
        started = time.monotonic()
        try:
            connection.request("POST", path, raw, headers)
            response = connection.getresponse()
            text = response.read()
            status = response.status
        except TimeoutError:
            with self.lock:
                self.slow.append((i, path))
            connection.close()
            return self.connect()
        except (http.client.HTTPException, OSError) as error:
            # A server may disconnect instead of reading a body, but must accept the next connection.
            connection.close()
            status, text = f"closed ({type(error).__name__})", b""
            connection = self.connect()
        if time.monotonic() - started > 10:
            self.slow.append((i, path))
        with self.lock:
            self.statuses[path, status] += 1
            if isinstance(status, int) and status >= 500 and status not in ALLOWED:
                self.failures.append(f"case {i}: {path} -> {status}: {text[:200]!r}; body {raw[:200]!r}")
        if i % 200 == 199:
            self.alive(i)
        return connection

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(ADDRESS.hostname, ADDRESS.port, timeout=self.arguments.timeout)

    def alive(self, i: int) -> None:
        for attempt in range(20):
            try:
                probe = self.connect()
                probe.request("GET", "/health")
                status = probe.getresponse().status
                probe.close()
                if status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1 * attempt)
        with self.lock:
            self.failures.append(f"the daemon does not answer any more, near case {i}")
            self.next = self.arguments.n

    def work(self) -> None:
        connection = self.connect()
        while (i := self.take()) is not None:
            connection = self.send(connection, i)
        connection.close()


def pid_is_same(pid: str | None) -> bool:
    return pid is None or os.path.exists(f"/proc/{pid}")


def only(seed: int, i: int) -> None:
    path, raw, headers = case(seed, i)
    print(path, headers, raw[:2000])
    connection = http.client.HTTPConnection(ADDRESS.hostname, ADDRESS.port, timeout=60)
    connection.request("POST", path, raw, headers)
    response = connection.getresponse()
    print(response.status, response.read()[:2000])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--timeout", type=float, default=20)
    parser.add_argument("--only", type=int)
    arguments = parser.parse_args()
    socket.setdefaulttimeout(arguments.timeout)
    BOMBS.update(bombs())
    if arguments.only is not None:
        only(arguments.seed, arguments.only)
        return
    fuzzer, started = Fuzzer(arguments), time.monotonic()
    threads = [threading.Thread(target=fuzzer.work) for _ in range(arguments.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fuzzer.alive(arguments.n)
    if not pid_is_same(os.environ.get("DAEMON_PID")):
        fuzzer.failures.append("the daemon has ended")
    by_status = collections.Counter()
    for (_, status), n in fuzzer.statuses.items():
        by_status[status] += n
    for failure in fuzzer.failures:
        print("  " + failure)
    for i, path in fuzzer.slow[:5]:
        print(f"  slow: case {i}: {path}")
    figures = ", ".join(f"{status} x {n}" for status, n in sorted(by_status.items(), key=str))
    verdict = "FAIL" if fuzzer.failures else "ok"
    n_bodies, seconds = sum(by_status.values()), time.monotonic() - started
    print(f"{verdict} fuzz: {n_bodies} bodies, seed {arguments.seed}, {seconds:.0f} s: {figures}")
    sys.exit(1 if fuzzer.failures else 0)


if __name__ == "__main__":
    main()
