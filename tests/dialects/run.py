"""Runs the suites and holds their cases against expected.txt.

Usage: run.py [--quick] [--peer LLAMA_SERVER] [--suite NAME]... [--update] [--list]
  --quick    the part for CI
  --peer     judge this llama-server instead of beastd, for a baseline; nothing is expected of it
  --suite    only these
  --update   write what passes now into expected.txt
A case is a line "SUITE CASE"; those in expected.txt must pass. target/dialects/results.txt has all.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree
from pathlib import Path

from server import excerpt, serving

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = ROOT / "target/dialects"
TESTS = WORK / "llama.cpp/tools/server/tests"
EXPECTED = HERE / "expected.txt"
PASSED, FAILED, SKIPPED = "ok", "FAIL", "skip"

NINE = [
    "basic",
    "chat_completion",
    "compat_anthropic",
    "compat_oai_responses",
    "completion",
    "ctx_shift",
    "security",
    "sleep",
    "metrics",
]
MORE = ["tokenize", "template", "embedding", "tool_call", "stream", "ignore_eos", "speculative"]
QUICK = ["basic", "chat_completion", "compat_anthropic", "compat_oai_responses", "security", "metrics", "tokenize"]
# Random at the tests' temperature of 0.8, because the result depends on where the model ends: never expected to pass.
LUCK = (
    "completion::completion_unified",
    "completion::completion_parallel_slots",
    "completion::completion_with_tokens_input",
    "chat_completion::chat_completions_multiple_choices",
    "chat_completion::completion_with_response_format[response_format1",
    "ctx_shift::",
    "metrics::metrics_generation_rate",
)

Results = dict[str, str]


def run(command: list[str], env: dict[str, str], log: Path, seconds: int, cwd: Path = HERE) -> tuple[int, str]:
    """Runs a program in a home of its own: its exit code and the log with what it said."""
    with tempfile.TemporaryDirectory(prefix="beast-client-") as home, open(log, "a") as errors:
        env = {
            **os.environ,
            "HOME": home,
            "XDG_CONFIG_HOME": f"{home}/.config",
            "XDG_DATA_HOME": f"{home}/.local/share",
            "XDG_CACHE_HOME": f"{home}/.cache",
            "NO_COLOR": "1",
            "DO_NOT_TRACK": "1",
            **env,
        }
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            env.pop(name, None)
        try:
            code = subprocess.run(
                command,
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            code = 124
            print(f"FAIL ended: not within {seconds} s", file=errors)
    return code, log.read_text(errors="replace")


def results_of_lines(text: str, code: int) -> Results:
    """Cases from lines such as "ok NAME: ..."; the server's own lines begin otherwise."""
    results = {}
    for line in text.splitlines():
        verdict, _, rest = line.partition(" ")
        if verdict in (PASSED, FAILED, SKIPPED) and rest:
            results[rest.split(":")[0].strip()] = verdict
    if code not in (0, 1) or not results:
        results["ended"] = FAILED
    return results


def llama(files: list[str], log: Path) -> Results:
    """llama.cpp's own tests, all of these files in one session."""
    report = WORK / "llama.xml"
    report.unlink(missing_ok=True)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-v",
        "-p",
        "no:cacheprovider",
        "-m",
        "not slow",
        "--timeout=120",
        "--tb=short",
        "--show-capture=no",
        f"--junit-xml={report}",
        *[f"unit/test_{name}.py" for name in files],
    ]
    env = {
        "LLAMA_SERVER_BIN_PATH": str(HERE / "shim.py"),
        "LLAMA_CACHE": str(WORK / "cache"),
        "DIALECTS_LOG": str(WORK / "shim.log"),
        "PORT": str(8480 + os.getpid() % 500),
    }
    code, _ = run(command, env, log, 3600, cwd=TESTS)
    if not report.exists():
        return {"ended": FAILED, f"pytest exit {code}": FAILED}
    results = {}
    for case in xml.etree.ElementTree.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname', '').removeprefix('unit.test_')}::{case.get('name', '').removeprefix('test_')}"
        kinds = {child.tag for child in case}
        results[ascii(name)[1:-1]] = (
            FAILED if kinds & {"failure", "error"} else SKIPPED if "skipped" in kinds else PASSED
        )
    return results


def client(
    script: str, log: Path, seconds: int = 300, context: int | None = None, more: tuple[str, ...] = ()
) -> Results:
    """A client's script against a server of its own."""
    node = WORK / "node"
    if script.endswith(".mjs"):
        # Node looks for packages beside the script.
        target = node / "clients"
        shutil.copytree(HERE / "clients", target, dirs_exist_ok=True)
        command = ["node", str(target / script)]
    else:
        command = [sys.executable, str(HERE / "clients" / script)]
    n_ctx = context or 4096
    flags = ["--ctx-size", str(n_ctx * 2), "--parallel", "2", "--n-predict", "256"]
    with serving(log, *flags, context=context) as env:
        code, text = run([*command, *more], {**env, "DIALECTS_NODE": str(node)}, log, seconds)
    return results_of_lines(text, code)


def typed(variants: int, log: Path) -> Results:
    with serving(log, "--ctx-size", "8192", "--parallel", "4") as env:
        code, text = run([sys.executable, str(HERE / "typed.py"), "--variants", str(variants)], env, log, 1800)
    return results_of_lines(text, code)


def fuzz(n: int, seed: int, log: Path) -> Results:
    with serving(
        log, "--ctx-size", "1024", "--parallel", "4", "--n-predict", "16", settings="http.max_body_mib=4"
    ) as env:
        code, text = run([sys.executable, str(HERE / "fuzz.py"), "-n", str(n), "--seed", str(seed)], env, log, 7200)
    return results_of_lines(text, code)


def load(log: Path, *more: str) -> Results:
    with serving(
        log,
        "--ctx-size",
        "8192",
        "--parallel",
        "4",
        settings="max_waiting=512 max_connections=1024 http.max_connections=1024",
    ) as env:
        code, text = run([sys.executable, str(HERE / "load.py"), *more], env, log, 1800)
    return results_of_lines(text, code)


def exploits(log: Path) -> Results:
    with serving(log, "--ctx-size", "4096", "--parallel", "2", "--n-predict", "16") as env:
        code, text = run([sys.executable, str(HERE / "exploits.py")], env, log, 600)
    return results_of_lines(text, code)


def templates(log: Path) -> Results:
    """A case is a chat template that people use: all its conversations come out as from Jinja itself."""
    if "DIALECTS_PEER" in os.environ:
        return {"beastd's own templates": SKIPPED}
    cases = WORK / "templates.jsonl"
    found = cases.with_name(f"{cases.name}.results")
    found.unlink(missing_ok=True)
    generator = [sys.executable, str(ROOT / "tests/templates/reference.py"), str(WORK / "llama.cpp/models/templates")]
    judge = ["cargo", "test", "--release", "--package", "beastd", "--lib", "template::reference_tests"]
    with open(log, "a") as said:
        with open(cases, "w") as lines:
            subprocess.run(generator, stdout=lines, stderr=said, timeout=300, check=False)
        env = {**os.environ, "BEAST_TEMPLATE_CASES": str(cases)}
        subprocess.run(judge, cwd=ROOT, env=env, stdout=said, stderr=said, timeout=3600, check=False)
    results: Results = {}
    for line in found.read_text().splitlines():
        verdict, _, case = line.partition(" ")
        template = case.split("::")[0]
        if verdict == FAILED or template not in results:
            results[template] = FAILED if verdict == FAILED else PASSED
    return results


def suites(arguments) -> dict:
    """Every suite and what runs it; the quick ones first."""
    quick = {
        "templates": templates,
        "llama": lambda log: llama(QUICK, log),
        "openai_python": lambda log: client("openai_python.py", log),
        "openai_node": lambda log: client("openai_node.mjs", log),
        "anthropic_python": lambda log: client("anthropic_python.py", log),
        "ollama_python": lambda log: client("ollama_python.py", log),
        "ollama_node": lambda log: client("ollama_node.mjs", log),
        "typed": lambda log: typed(25, log),
        "fuzz": lambda log: fuzz(3000, arguments.seed, log),
        "exploits": exploits,
        "load": lambda log: load(log, "--streams", "100", "--aborted", "25", "--leave", "200"),
    }
    whole = {
        **quick,
        "llama": lambda log: llama(NINE + MORE, log),
        "llm": lambda log: client("llm_cli.py", log),
        "litellm": lambda log: client("litellm_python.py", log),
        "claude_code": lambda log: client("claude_code.py", log, context=32768),
        "codex": lambda log: client("codex.py", log, context=32768),
        "typed": lambda log: typed(arguments.variants, log),
        "fuzz": lambda log: fuzz(arguments.bodies, arguments.seed, log),
        "load": lambda log: load(log),
    }
    return quick if arguments.quick else whole


def expected() -> set[str]:
    lines = EXPECTED.read_text().splitlines() if EXPECTED.exists() else []
    return {line for line in lines if line and not line.startswith("#")}


def update(results: Results) -> None:
    """Cases of the suites that ran are replaced, others stay."""
    ran = {case.split(" ")[0] for case in results}
    kept = {case for case in expected() if case.split(" ")[0] not in ran}
    luck = tuple(f"llama {case}" for case in LUCK)
    passed = {case for case, verdict in results.items() if verdict == PASSED and not case.startswith(luck)}
    head = "# Cases that must pass: SUITE CASE. Written by `.ci/test-dialects --update`.\n"
    EXPECTED.write_text(head + "".join(f"{case}\n" for case in sorted(kept | passed)))


def arguments_of() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--suite", action="append")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--list", action="store_true", help="list the suites")
    parser.add_argument("--bodies", type=int, default=20_000, help="damaged bodies that fuzz sends")
    parser.add_argument("--variants", type=int, default=150, help="random bodies of typed for each route")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    arguments = arguments_of()
    chosen = {
        name: start for name, start in suites(arguments).items() if not arguments.suite or name in arguments.suite
    }
    if arguments.list:
        print("\n".join(chosen))
        return
    if arguments.peer:
        os.environ["DIALECTS_PEER"] = str(arguments.peer.resolve())
    WORK.mkdir(parents=True, exist_ok=True)
    must, results, missed = set() if arguments.peer else expected(), {}, []
    for name, start in chosen.items():
        log, started = WORK / f"{name}.log", time.monotonic()
        log.unlink(missing_ok=True)
        try:
            cases = start(log)
        except (OSError, RuntimeError) as error:
            cases = {"started": FAILED}
            print(f"  {name}: {error}: {excerpt(log)}")
        mine = {f"{name} {case}": verdict for case, verdict in cases.items()}
        results |= mine
        counts = {verdict: sum(v == verdict for v in mine.values()) for verdict in (PASSED, FAILED, SKIPPED)}
        lost = sorted(case for case in must if case in mine and mine[case] != PASSED)
        if not arguments.quick or name != "llama":
            lost += sorted(case for case in must if case.startswith(f"{name} ") and case not in mine)
        missed += lost
        print(
            f"{name}: {counts[PASSED]} of {len(mine) - counts[SKIPPED]} passed, {counts[SKIPPED]} skipped, "
            f"{len(lost)} expected ones failed, {time.monotonic() - started:.0f} s",
            flush=True,
        )
    (WORK / "results.txt").write_text("".join(f"{verdict} {case}\n" for case, verdict in sorted(results.items())))
    if arguments.update and not arguments.peer:
        update(results)
    for case in missed:
        print(f"  expected to pass: {case}")
    n_passed = sum(verdict == PASSED for verdict in results.values())
    n_judged = sum(verdict != SKIPPED for verdict in results.values())
    print(f"total: {n_passed} of {n_judged} cases passed, {len(missed)} of the expected failed", end=" ")
    print("(every case: target/dialects/results.txt)")
    sys.exit(1 if missed and not arguments.update else 0)


if __name__ == "__main__":
    main()
