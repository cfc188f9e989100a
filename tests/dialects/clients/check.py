"""What the clients' scripts share: where the server is, one line for each check, whether anything still runs there.

Environment: BASE_URL, such as http://127.0.0.1:8484; MODEL; API_KEY (any text where the server wants none).
"""

import json
import os
import sys
import time
import traceback
import urllib.request

BASE_URL = os.environ["BASE_URL"].rstrip("/")
MODEL = os.environ.get("MODEL", "cub")
API_KEY = os.environ.get("API_KEY", "none")
QUESTION = "What is a daemon?"
WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 20},
        "days": {"type": "integer", "minimum": 0, "maximum": 14},
    },
    "required": ["city", "days"],
    "additionalProperties": False,
}
# The built-in model ends its short answers with this token; without it an answer lasts until it is cancelled.
ENDLESS = {"7": -100}
# The same for a dialect without logit_bias.
LONG_LIST = {
    "type": "object",
    "properties": {"numbers": {"type": "array", "items": {"type": "integer"}, "minItems": 1500}},
    "required": ["numbers"],
}

_checks = []


def check(function):
    """Registers a check, by the function's name. It fails by raising, and may return a reason why it was skipped."""
    _checks.append(function)
    return function


def get(path: str):
    """GET, as JSON."""
    request = urllib.request.Request(BASE_URL + path, headers={"Authorization": f"Bearer {API_KEY}"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def running() -> int:
    """How many slots compute."""
    return sum(1 for slot in get("/slots") if slot["is_processing"])


def expect_idle(seconds: float = 2.0) -> None:
    """Nothing runs, or soon does not: what a client has left must not go on."""
    deadline = time.monotonic() + seconds
    while (n := running()) > 0:
        if time.monotonic() > deadline:
            raise AssertionError(f"{n} slots still run {seconds} s after the client went away")
        time.sleep(0.02)


def main() -> None:
    """Runs the checks (those named in the arguments, or all) and exits with 1 when one failed."""
    wanted, n_failed = sys.argv[1:], 0
    for function in _checks:
        name = function.__name__
        if wanted and name not in wanted:
            continue
        try:
            reason = function()
            print(f"skip {name}: {reason}" if reason else f"ok {name}", flush=True)
        except Exception as error:  # a check fails on any exception of a client
            n_failed += 1
            text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            print(f"FAIL {name}: {text}", flush=True)
            if os.environ.get("DIALECTS_TRACE"):
                traceback.print_exc()
    sys.exit(1 if n_failed else 0)
