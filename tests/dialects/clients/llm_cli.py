"""llm, the command line: its OpenAI plugin (chat, completion, Responses, schema, tools) and the plugin llm-ollama."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from check import BASE_URL, LONG_LIST, MODEL, QUESTION, WEATHER, check, expect_idle, main

HOME = Path(os.environ["HOME"]) / "llm"
LLM = Path(sys.executable).with_name("llm")
MODELS = f"""
- {{model_id: chat, model_name: {MODEL}, api_base: "{BASE_URL}/v1", supports_schema: true, supports_tools: true}}
- {{model_id: text, model_name: {MODEL}, api_base: "{BASE_URL}/v1", completion: true}}
- {{model_id: resp, model_name: {MODEL}, api_base: "{BASE_URL}/v1", responses: true}}
"""


def llm(*arguments, **more):
    HOME.mkdir(parents=True, exist_ok=True)
    (HOME / "extra-openai-models.yaml").write_text(MODELS)
    env = {**os.environ, "LLM_USER_PATH": str(HOME), "OLLAMA_HOST": BASE_URL, "OPENAI_API_KEY": "none"}
    done = subprocess.run([LLM, *arguments], env=env, capture_output=True, text=True, timeout=120, check=False, **more)
    assert done.returncode == 0, done.stderr[-300:]
    return done.stdout


@check
def chat_stream():
    assert llm("-m", "chat", "-o", "max_tokens", "24", QUESTION).strip()


@check
def chat_whole():
    assert llm("-m", "chat", "--no-stream", "-o", "max_tokens", "24", QUESTION).strip()


@check
def system_and_stdin():
    assert llm("-m", "chat", "-s", "Answer briefly.", "-o", "max_tokens", "24", input=QUESTION).strip()


@check
def go_on():
    assert llm("-m", "chat", "-c", "-o", "max_tokens", "24", "And shorter?").strip()


@check
def schema():
    text = llm("-m", "chat", "--no-stream", "--schema", json.dumps(WEATHER), QUESTION)
    assert set(json.loads(text)) == {"city", "days"}, text


@check
def completion():
    assert llm("-m", "text", "-o", "max_tokens", "16", "A daemon is").strip()


@check
def responses():
    assert llm("-m", "resp", QUESTION).strip()


@check
def tools():
    # Whether the model calls it does not matter; the request must succeed.
    llm(
        "-m",
        "chat",
        "--functions",
        "def add(a: int, b: int) -> int:\n    return a + b",
        "-o",
        "max_tokens",
        "60",
        QUESTION,
    )


def ollama_model():
    listed = llm("ollama", "models")
    return "ollama/" + next(line.split()[0] for line in listed.splitlines() if line.startswith(MODEL))


@check
def ollama_list():
    assert ollama_model()
    assert "Ollama" in llm("models", "list"), "llm-ollama registered no model"


@check
def ollama_chat():
    assert llm("-m", ollama_model(), "-o", "num_predict", "24", QUESTION).strip()


@check
def ollama_schema():
    text = llm("-m", ollama_model(), "--no-stream", "--schema", json.dumps(WEATHER), "-o", "temperature", "0", QUESTION)
    assert set(json.loads(text)) == {"city", "days"}, text


@check
def cancel():
    HOME.mkdir(parents=True, exist_ok=True)
    (HOME / "extra-openai-models.yaml").write_text(MODELS)
    env = {**os.environ, "LLM_USER_PATH": str(HOME), "OPENAI_API_KEY": "none", "PYTHONUNBUFFERED": "1"}
    command = [LLM, "-m", "chat", "--schema", json.dumps(LONG_LIST), "-o", "max_tokens", "3500", QUESTION]
    child = subprocess.Popen(command, env=env, stdout=subprocess.PIPE)
    assert child.stdout.read(1), "no first letter"
    time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    child.wait(timeout=30)
    child.stdout.close()
    expect_idle()


main()
