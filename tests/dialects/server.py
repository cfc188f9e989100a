"""Starts the server that is judged, through shim.py, on a port of its own, and ends it again."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_health(base_url: str, process: subprocess.Popen, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, urllib.error.URLError):
            with urllib.request.urlopen(f"{base_url}/health", timeout=5) as response:
                if response.status == 200:
                    return
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"the server was not ready within {seconds:.0f} s")
        time.sleep(0.02)


@contextlib.contextmanager
def serving(log: Path, *flags: str, settings: str = "", context: int | None = None):
    """Yields an environment for the scripts: BASE_URL, MODEL, DAEMON_PID."""
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    env = {**os.environ, "DIALECTS_SET": " ".join(filter(None, [os.environ.get("DIALECTS_SET", ""), settings]))}
    if context:
        env["DIALECTS_CONTEXT"] = str(context)
    command = [
        sys.executable,
        str(HERE / "shim.py"),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--alias",
        "cub",
        "--temp",
        "0",
        "--seed",
        "42",
        "--jinja",
        "--slots",
        "--metrics",
        "--hf-repo",
        "ours",
        *flags,
    ]
    with open(log, "a") as file:
        process = subprocess.Popen(command, env=env, stdout=file, stderr=file)
        try:
            wait_for_health(base_url, process, 60)
            yield {"BASE_URL": base_url, "MODEL": "cub", "API_KEY": "none", "DAEMON_PID": str(process.pid)}
            if process.poll() is not None:
                raise RuntimeError(f"the server ended with {process.returncode} in the middle")
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def excerpt(log: Path, lines: int = 5) -> str:
    """The last lines of a log, without colours."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(text.splitlines()[-lines:]))
