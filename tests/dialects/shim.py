#!/usr/bin/env python3
"""Stands in for llama-server: takes its flags and becomes beastd, or the real llama-server, on our model.

llama.cpp's tests start the program that LLAMA_SERVER_BIN_PATH names. The model they ask for is dropped; flags become
settings of beastd, or metadata in a copy of the model file where a model's name, template and sampling defaults live.
What has no counterpart is ignored and listed in DIALECTS_LOG.

Environment
  DIALECTS_BEASTD   the daemon (default: target/release/beastd)
  DIALECTS_PEER     a real llama-server to run instead
  DIALECTS_PEER_FLAGS  more flags for it, such as --no-repack where its build has AMX and the machine has not
  DIALECTS_MODEL    the model file (default: models/cub/cub.gguf)
  DIALECTS_WORK     where homes and copies of the model go (default: target/dialects)
  DIALECTS_LOG      append what was started and what was ignored to this file
  DIALECTS_CONTEXT  let the model say that it was trained for this context (Claude Code's prompts need 32768)
  DIALECTS_SET      further settings for beastd, KEY=VALUE, separated by spaces
"""

import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import gguf

ROOT = Path(__file__).resolve().parents[2]
WORK = Path(os.environ.get("DIALECTS_WORK", ROOT / "target/dialects")).resolve()
MODEL = Path(os.environ.get("DIALECTS_MODEL", ROOT / "models/cub/cub.gguf")).resolve()

# Flags that name a model; each takes a value.
OF_MODEL = {"--hf-repo", "--hf-file", "--model", "--model-url", "--model-draft", "--mmproj-url", "-m", "-hf"}
SWITCHES = {
    "--offline",
    "--cont-batching",
    "--embedding",
    "--reranking",
    "--metrics",
    "--kv-unified",
    "--swa-full",
    "--slots",
    "--no-slots",
    "--context-shift",
    "--no-ui",
    "--no-models-autoload",
    "--jinja",
    "--no-jinja",
    "--no-mmproj",
    "--verbose",
    "--no-cache-idle-slots",
    "--ui-mcp-proxy",
    "--backend_sampling",
    "--no-webui",
}
LLAMA3 = (
    "{% for m in messages %}"
    "{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content | trim + '<|eot_id|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
COMMAND_R = (
    "{% set names = {'system': 'SYSTEM', 'user': 'USER', 'assistant': 'CHATBOT'} %}{% for m in messages %}"
    "{{ '<|START_OF_TURN_TOKEN|><|' + names[m.role] + '_TOKEN|>' + m.content | trim + '<|END_OF_TURN_TOKEN|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{% endif %}"
)
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TEMPLATES = {"llama3": LLAMA3, "command-r": COMMAND_R, "chatml": CHATML}


def parse(arguments: list[str]) -> dict[str, str]:
    """Flags to values; a switch has an empty one."""
    flags, rest = {}, iter(arguments)
    for flag in rest:
        flags[flag] = "" if flag in SWITCHES else next(rest, "")
    return flags


def metadata(flags: dict[str, str]) -> dict[str, gguf.Value]:
    """What the flags say that a model file says too."""
    changes: dict[str, gguf.Value] = {}
    if alias := flags.get("--alias"):
        changes["general.name"] = sorted(alias.split(","))[0]
    if temp := flags.get("--temp"):
        changes["general.sampling.temp"] = float(temp)
    if n_ctx := os.environ.get("DIALECTS_CONTEXT"):
        changes["lfm2.context_length"] = int(n_ctx)
    template = None
    if name := flags.get("--chat-template"):
        template = TEMPLATES.get(name, name)
    if file := flags.get("--chat-template-file"):
        template = Path(file).read_text()
    if template is not None:
        # llama-server lets models think by default.
        default = "false" if flags.get("--reasoning") == "off" else "true"
        template = (
            "{%- if enable_thinking is not defined -%}{%- set enable_thinking = "
            + default
            + " -%}{%- endif -%}"
            + template
        )
        changes["tokenizer.chat_template"] = template
    return changes


def model_with(changes: dict[str, gguf.Value]) -> Path:
    """A copy of the model with these values; kept, as the same ones are asked for again and again."""
    if not changes:
        return MODEL
    name = hashlib.sha256(repr((MODEL, MODEL.stat().st_mtime_ns, sorted(changes.items()))).encode()).hexdigest()[:16]
    copy = WORK / "models" / f"{name}.gguf"
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        gguf.rewrite(MODEL, copy, changes)
    return copy


def addresses(flags: dict[str, str]) -> str:
    """HOST:PORT for every host that is named."""
    port = flags.get("--port", "8080")
    hosts = [host.strip() for host in flags.get("--host", "127.0.0.1").split(",")]
    return ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host in hosts)


def settings(flags: dict[str, str]) -> dict[str, str]:
    """What the flags are in beastd's words."""
    wanted = {"http.listen": addresses(flags), "drain_timeout": "2s", "prefix_disk_mib": "0"}
    n_slots = int(flags.get("--parallel", "4"))
    n_ctx = int(flags.get("--ctx-size", "4096"))
    if "--kv-unified" in flags or "--parallel" not in flags:
        wanted |= {"n_ctx": str(n_ctx), "n_cells": str(n_ctx)}
    else:
        wanted |= {"n_ctx": str(n_ctx // n_slots)}
    wanted["n_slots"] = str(n_slots)
    n_predict = int(flags.get("--n-predict", "-1"))
    wanted["max_tokens"] = str(n_predict if n_predict > 0 else n_ctx)
    for flag, key in [
        ("--batch-size", "n_batch"),
        ("--threads", "n_threads"),
        ("--api-key", "http.api_key"),
        ("--cors-origins", "http.origins"),
    ]:
        if flag in flags:
            wanted[key] = flags[flag]
    if "--batch-size" in flags:
        wanted["prefill_chunk"] = flags.get("--ubatch-size", flags["--batch-size"])
    if "--tools" in flags:
        # llama-server's default for origins once tools are enabled.
        wanted.setdefault("http.origins", "localhost")
    if "--sleep-idle-seconds" in flags:
        wanted["idle_unload"] = flags["--sleep-idle-seconds"] + "s"
    for pair in os.environ.get("DIALECTS_SET", "").split():
        key, value = pair.split("=", 1)
        wanted[key] = value
    return wanted


MAPPED = {
    "--port",
    "--host",
    "--parallel",
    "--ctx-size",
    "--kv-unified",
    "--n-predict",
    "--batch-size",
    "--ubatch-size",
    "--threads",
    "--api-key",
    "--cors-origins",
    "--sleep-idle-seconds",
    "--tools",
    "--alias",
    "--temp",
    "--chat-template",
    "--chat-template-file",
    "--reasoning",
    "--offline",
    "--cont-batching",
    "--embedding",
    "--jinja",
    "--metrics",
    "--slots",
}


def log(line: str) -> None:
    if path := os.environ.get("DIALECTS_LOG"):
        with open(path, "a") as file:
            print(line, file=file)


def home() -> Path:
    """A home below /tmp, as the path of a socket must be short. Those whose process has ended are removed."""
    for old in Path("/tmp").glob("beast-dialects-*"):
        pid = old.name.split("-")[2]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"beast-dialects-{os.getpid()}-", dir="/tmp"))


def environment(place: Path) -> dict[str, str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("BEAST_", "LLAMA_", "XDG_"))}
    env |= {"HOME": str(place), "XDG_CACHE_HOME": str(WORK / "cache")}
    for name, folder in [("CONFIG", "config"), ("DATA", "data"), ("RUNTIME", "run"), ("STATE", "state")]:
        path = place / folder
        path.mkdir(mode=0o700)
        env[f"XDG_{name}_{'DIR' if name == 'RUNTIME' else 'HOME'}"] = str(path)
    return env


def become_peer(peer: str, arguments: list[str]) -> None:
    flags = parse(arguments)
    changes = {"lfm2.context_length": int(n)} if (n := os.environ.get("DIALECTS_CONTEXT")) else {}
    is_router = not any(flag in flags for flag in OF_MODEL)
    kept = [
        part for flag, value in flags.items() if flag not in OF_MODEL for part in ([flag, value] if value else [flag])
    ]
    kept += os.environ.get("DIALECTS_PEER_FLAGS", "").split()
    command = [peer, *kept] if is_router else [peer, "--model", str(model_with(changes)), *kept]
    log("peer: " + " ".join(command))
    os.execv(peer, command)


def main() -> None:
    arguments = sys.argv[1:]
    if peer := os.environ.get("DIALECTS_PEER"):
        become_peer(peer, arguments)
    flags = parse(arguments)
    place = home()
    beastd = os.environ.get("DIALECTS_BEASTD", str(ROOT / "target/release/beastd"))
    command = [beastd, "--model", str(model_with(metadata(flags)))]
    for key, value in settings(flags).items():
        command += ["--set", f"{key}={value}"]
    ignored = [flag for flag in flags if flag not in MAPPED and flag not in OF_MODEL]
    log("beastd: " + " ".join(command[1:]))
    log("ignored: " + " ".join(ignored))
    os.chdir(place)
    os.execve(beastd, command, environment(place))


if __name__ == "__main__":
    main()
