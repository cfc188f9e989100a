"""Claude Code, headless, without telemetry and updates: a short prompt, its own with all its tools, JSON, cancel."""

import json
import os

from agents import NODE, ask, cut_off
from check import API_KEY, BASE_URL, MODEL, QUESTION, check, main

PROGRAM = str(next(iter(sorted((NODE / "@anthropic-ai").glob("claude-code-*/claude"))), "claude"))
ENV = {
    "ANTHROPIC_BASE_URL": BASE_URL,
    "ANTHROPIC_API_KEY": API_KEY,
    "ANTHROPIC_MODEL": MODEL,
    "ANTHROPIC_DEFAULT_HAIKU_MODEL": MODEL,
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_AUTOUPDATER": "1",
    "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "32",
}
SHORT = ["--system-prompt", "Answer briefly.", "--tools", ""]


@check
def short_prompt():
    assert ask([PROGRAM, "-p", QUESTION, *SHORT], ENV).strip()


@check
def stream_json():
    lines = ask(
        [PROGRAM, "-p", QUESTION, *SHORT, "--output-format", "stream-json", "--verbose", "--include-partial-messages"],
        ENV,
    )
    events = [json.loads(line) for line in lines.splitlines()]
    kinds = {event["event"]["type"] for event in events if event["type"] == "stream_event"}
    assert {"message_start", "content_block_delta", "message_stop"} <= kinds, kinds
    assert events[-1]["type"] == "result" and not events[-1]["is_error"], events[-1]


@check
def whole_prompt_and_tools():
    ask([PROGRAM, "-p", QUESTION], ENV)


@check
def large_max_tokens():
    """By default it asks for 32,000 tokens, more than any small model's context."""
    env = {key: value for key, value in ENV.items() if key != "CLAUDE_CODE_MAX_OUTPUT_TOKENS"}
    assert ask([PROGRAM, "-p", QUESTION, *SHORT], env).strip()


@check
def cancel():
    cut_off([PROGRAM, "-p", QUESTION + " Explain. " * 4000, *SHORT], {**ENV, "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "8000"})


if not os.path.exists(PROGRAM):
    print("skip installed: this system has no build of Claude Code")
else:
    main()
