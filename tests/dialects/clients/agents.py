"""What the scripts for Claude Code and Codex share: running a program, and cutting it off in the middle."""

import os
import signal
import subprocess
import time
from pathlib import Path

from check import expect_idle, running

NODE = Path(os.environ["DIALECTS_NODE"]) / "node_modules"


def folder(name: str) -> Path:
    """A folder in this run's home."""
    path = Path(os.environ["HOME"]) / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def said(command: list[str], env: dict[str, str]) -> tuple[int, str]:
    """Its exit code, and what it printed; its end is awaited."""
    done = subprocess.run(
        command,
        env={**os.environ, **env},
        cwd=folder("work"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return done.returncode, done.stdout + (done.stderr if done.returncode else "")


def ask(command: list[str], env: dict[str, str]) -> str:
    """What it printed; it must succeed."""
    code, text = said(command, env)
    assert code == 0, f"exit {code}: {text[-300:]}"
    return text


def cut_off(command: list[str], env: dict[str, str]) -> None:
    """Interrupts it while the server computes for it; nothing may run on."""
    child = subprocess.Popen(
        command,
        env={**os.environ, **env},
        cwd=folder("work"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while running() == 0:
            assert child.poll() is None, "it ended before the server computed"
            assert time.monotonic() < deadline, "the server computed nothing within 60 s"
            time.sleep(0.005)
    finally:
        os.killpg(child.pid, signal.SIGINT)
        time.sleep(0.2)
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    expect_idle()
