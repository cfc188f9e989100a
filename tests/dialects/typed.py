"""Asks every route in many variants and holds each answer, each chunk of a stream and each error against the types of
the openai, anthropic and ollama packages: strictly, and with no field that neither those nor judges.EXTRAS know.

Usage: typed.py [--variants N] [--seed S] [--dialect openai|anthropic|ollama]
Environment: BASE_URL, MODEL; DIALECTS_TRACE to see each body that is answered wrongly
"""

import argparse
import collections
import itertools
import json
import os
import random
import sys

import anthropic.types
import ollama._types
import openai.types
import requests
from bodies import ABSENT, ASK, ROUTES
from judges import EXTRAS, Invalid, ModelPage, expect, validate

BASE_URL = os.environ["BASE_URL"].rstrip("/")
MODEL = os.environ.get("MODEL", "cub")


def post(path: str, body: dict) -> requests.Response:
    return requests.post(BASE_URL + path, json=body, headers={"Authorization": "Bearer none"}, timeout=120)


def judge_lists(report: collections.Counter, dialect: str) -> None:
    """What is read, not asked."""
    cases = {
        "openai": [("GET", "/v1/models", None, ModelPage), ("GET", f"/v1/models/{MODEL}", None, openai.types.Model)],
        "anthropic": [
            (
                "POST",
                "/v1/messages/count_tokens",
                {"model": MODEL, "messages": [ASK]},
                anthropic.types.MessageTokensCount,
            )
        ],
        "ollama": [
            ("GET", "/api/tags", None, ollama._types.ListResponse),
            ("GET", "/api/ps", None, ollama._types.ProcessResponse),
            ("POST", "/api/show", {"model": MODEL}, ollama._types.ShowResponse),
        ],
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
            report[path, "refused"] += response.status_code != 200
        except Exception as error:  # anything that would break a client, including a KeyError
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
        wrong = {text: n for (of, text), n in report.items() if of == path and text not in ("ok", "refused")}
        verdict, n_valid, n_refused = "FAIL" if wrong else "ok", report[path, "ok"], report[path, "refused"]
        print(
            f"{verdict} {path}: {n_valid} valid ({n_refused} of them refusals), {sum(wrong.values())} not", flush=True
        )
        for text, n in sorted(wrong.items(), key=lambda pair: -pair[1])[:12]:
            print(f"  {n} x {text}")
    sys.exit(1 if any(text not in ("ok", "refused") for _, text in report) else 0)


if __name__ == "__main__":
    main()
