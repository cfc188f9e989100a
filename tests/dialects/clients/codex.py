"""Codex, headless: its own prompt and tools over Responses, its JSON events, cancel."""

import json

from agents import NODE, cut_off, folder, said
from check import BASE_URL, MODEL, QUESTION, check, main

RETRIES = "request_max_retries=0,stream_max_retries=0"
PROVIDER = f'{{name="beast",base_url="{BASE_URL}/v1",wire_api="responses",env_key="KEY",{RETRIES}}}'
COMMAND = [
    "node",
    str(NODE / "@openai/codex/bin/codex.js"),
    "exec",
    "--skip-git-repo-check",
    "-s",
    "read-only",
    "-m",
    MODEL,
    "-c",
    "model_provider=beast",
    "-c",
    f"model_providers.beast={PROVIDER}",
    "-c",
    "analytics.enabled=false",
    "-c",
    "check_for_update_on_startup=false",
]
CUT = "reason: max_output_tokens"
ENV = {"KEY": "none", "CODEX_HOME": str(folder("codex"))}


@check
def whole_prompt_and_tools():
    code, text = said([*COMMAND, QUESTION], ENV)
    # The built-in model may run to its token limit on such a prompt, which Codex reports as an error.
    assert (code == 0 and text.strip()) or CUT in text, f"exit {code}: {text[-300:]}"


@check
def events():
    code, text = said([*COMMAND, "--json", QUESTION], ENV)
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    kinds = [line["type"] for line in lines]
    if CUT in text:
        assert {"thread.started", "turn.started", "item.completed", "turn.failed"} <= set(kinds), kinds
        return
    assert code == 0, f"exit {code}: {text[-300:]}"
    assert "turn.completed" in kinds and "turn.failed" not in kinds, kinds
    usage = next(line["usage"] for line in lines if line["type"] == "turn.completed")
    assert usage["input_tokens"] > 0 and usage["output_tokens"] > 0, usage


@check
def cancel():
    cut_off([*COMMAND, QUESTION + " Explain. " * 4000], ENV)


main()
