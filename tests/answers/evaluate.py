#!/usr/bin/env python3
"""Counts how the answers of a real model end, over real inputs of ten kinds, each given to each prompt that suits it.

Usage: tests/answers/evaluate.py --model GGUF [--n 10] [--verbs summarize,title] [--kinds prose,diffs]
                                 [--programs FOLDER] [--keep FILE] [--jobs 2] [--inputs FILE] [--shard I/N]
                                 [--set KEY=VALUE]

Inputs are files of this Debian system (/usr/share, /var/log) and patches from Debian's source packages, --n of each
kind, drawn with a fixed seed, at most MAX_BYTES of each; where the answer is as long as the input, MAX_BYTES_COPIED.
Another system has other files. --programs takes beastd and beastctl from another folder, to compare. --keep writes
every answer as a JSON line. --inputs takes the inputs from this file if it exists, else writes them to it, so that another
machine can use the same ones. --shard takes the Ith of N parts of the work. Needs python3 and apt-get.
"""

import argparse
import collections
import concurrent.futures
import gzip
import json
import os
import random
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# About 1,500 tokens: what fits into the context of the smallest model beside an answer.
MAX_BYTES = 4_000
# The same where the answer is as long as the input.
MAX_BYTES_COPIED = 1_500
MIN_BYTES = 300
KINDS = {
    "prose": ["/usr/share/doc/*/README*", "/usr/share/doc/*/FAQ*"],
    "manuals": ["/usr/share/man/man1/*.gz"],
    "changelogs": ["/usr/share/doc/*/changelog.gz", "/usr/share/doc/*/NEWS*"],
    "licences": ["/usr/share/common-licenses/*", "/usr/share/doc/*/copyright"],
    "python": ["/usr/lib/python3*/*.py", "/usr/lib/python3*/*/*.py"],
    "c": ["/usr/include/*.h", "/usr/include/linux/*.h"],
    "shell": ["/usr/bin/*", "/usr/share/doc/*/examples/*.sh", "/etc/init.d/*"],
    "data": ["/usr/share/**/*.json", "/usr/share/**/*.csv", "/usr/share/**/*.xml"],
    "logs": ["/var/log/*.log", "/var/log/apt/*.log"],
    "diffs": [],
}
COPIED = {"translate", "fix"}
CODE = {"python", "c", "shell"}
VERBS = ["summarize", "title", "keywords", "tldr", "explain", "ask", "translate", "fix", "review", "commit-msg", "shell"]
# Debian packages whose patches are small and have messages of many authors.
SOURCES = ["bash", "curl", "git", "less", "make-dfsg", "nano", "openssh", "sed", "systemd", "tar"]
ENDS = {"stop", "stop_text", "closed"}
LIMITS = {"max_tokens", "context_full"}


def suits(verb: str, kind: str) -> bool:
    if verb == "commit-msg":
        return kind == "diffs"
    if verb == "review":
        return kind in CODE or kind == "diffs"
    if verb in COPIED:
        return kind in ("prose", "licences", "changelogs")
    return verb != "shell" or kind == "prose"


def read(path: Path) -> str | None:
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > 4 << 20:
            return None
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = data.decode()
    except (OSError, UnicodeDecodeError, EOFError):
        return None
    return text if "\0" not in text and len(text) >= MIN_BYTES else None


def patches(cache: Path) -> list[str]:
    """Diffs with their paths, without the messages above them."""
    if not any(cache.glob("*.debian.tar.*")):
        cache.mkdir(parents=True, exist_ok=True)
        lists = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
        text = "".join(path.read_text() for path in lists if path.exists())
        text = text.replace("Types: deb\n", "Types: deb-src\n")
        lines = re.sub(r"(?m)^deb ", "deb-src ", text)
        name = "beast.sources" if "Types:" in lines else "beast.list"
        (cache / name).write_text(lines)
        (cache / "lists/partial").mkdir(parents=True, exist_ok=True)
        options = ["-o", f"Dir::Etc::SourceList={cache / name}", "-o", "Dir::Etc::SourceParts=-"]
        options += ["-o", f"Dir::State::Lists={cache / 'lists'}", "-o", "APT::Sandbox::User=root"]
        subprocess.run(["apt-get", *options, "-qq", "update"], check=True, cwd=cache)
        # A mirror may lack one of them.
        subprocess.run(["apt-get", *options, "-qq", "source", "--diff-only", *SOURCES], check=False, cwd=cache)
    found = []
    for archive in sorted(cache.glob("*.debian.tar.*")):
        with tarfile.open(archive) as files:
            for member in files.getmembers():
                if "/patches/" not in member.name or not member.isfile() or member.size > 1 << 20:
                    continue
                text = files.extractfile(member).read().decode(errors="replace")
                at = re.search(r"(?m)^(diff --git|--- )", text)
                if at and len(text) - at.start() >= MIN_BYTES:
                    found.append(text[at.start() :])
    return found


def inputs(kind: str, n: int, cache: Path) -> list[str]:
    if kind == "diffs":
        texts = patches(cache)
    else:
        paths = sorted({path for pattern in KINDS[kind] for path in Path("/").glob(pattern[1:])})
        random.Random(kind).shuffle(paths)
        texts, folders = [], collections.Counter()
        for path in paths:
            # Limits the number of files from one package.
            if len(texts) >= n or folders[path.parent] >= max(2, n // 2) and kind in ("prose", "data"):
                continue
            text = read(path)
            if text is None or kind == "shell" and not re.match(r"#!\s*/bin/(ba)?sh", text):
                continue
            folders[path.parent] += 1
            texts.append(text)
        # Logs are few and long, so each provides several pieces.
        if kind == "logs" and texts:
            texts = [text[at : at + MAX_BYTES] for text in texts for at in range(0, len(text), len(text) // n + 1)]
    random.Random(kind).shuffle(texts)
    return [text.encode()[:MAX_BYTES].decode(errors="ignore") for text in texts[:n]]


class Daemon:
    def __init__(self, programs: Path, model: str, home: Path, settings: list[str]):
        self.beastctl = programs / "beastctl"
        variables = ["HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_DATA_HOME"]
        self.environment = {**os.environ, **dict.fromkeys(variables, str(home)), "BEAST_SOCKET": str(home / "s.sock")}
        command = [str(programs / "beastd"), "--model", str(Path(model).resolve())]
        command += [argument for setting in settings for argument in ("--set", setting)]
        self.process = subprocess.Popen(command, env=self.environment, stderr=(home / "log").open("w"))
        while not (home / "s.sock").exists():
            assert self.process.poll() is None, (home / "log").read_text()
            time.sleep(0.05)

    def answer(self, verb: str, text: str) -> dict:
        arguments = [verb, "--json", "--seed", "1", "--no-start", "--truncate", "middle"]
        if verb == "summarize":
            arguments = arguments[:-2]
        if verb == "ask":
            arguments.append("What is this, and what is it for?")
        if verb == "shell":
            text = "Print " + " ".join(text.split()[:12])
        done = subprocess.run([self.beastctl, *arguments], input=text, capture_output=True, text=True, env=self.environment)
        try:
            answer = json.loads(done.stdout.splitlines()[-1])
        except (IndexError, json.JSONDecodeError):
            answer = {"error": {"message": done.stderr}}
        return {"code": done.returncode, "told": done.stderr, **answer}

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def circles(text: str) -> bool:
    """Whether a reader sees the same thing four times in a row at the end: a unit of up to 400 characters. A ruler, one
    line of one character, is none."""
    if len(set(text.strip())) <= 1:
        return False
    text = " ".join(text.split())
    for period in range(1, min(400, len(text) // 4) + 1):
        n_copies = 4 if period >= 12 else 4 + 48 // period
        if len(text) >= period * n_copies and text.endswith(text[-period:] * n_copies):
            return True
    return False


def usable(message: str, diff: str) -> str | None:
    """What is wrong with a commit message; the rubric."""
    first = message.strip().splitlines()[0] if message.strip() else ""
    words = {word.lower() for word in re.findall(r"[A-Za-z]{4,}", diff)}
    own = {word.lower() for word in re.findall(r"[A-Za-z]{4,}", first)}
    if not first:
        return "empty"
    if re.match(r"(diff |---|\+\+\+|@@|index [0-9a-f]|[+-]\s)", first) or "\n+" in message:
        return "a diff"
    if first.startswith("#") or first.endswith(":") or re.match(r"(?i)(here (is|are)|commit message|summary|changes?):?\s*$", first):
        return "a heading"
    if re.search(r"(?i)one-line commit message|imperative mood|reply with only|for these changes", first):
        return "an instruction"
    if not 8 <= len(first) <= 100:
        return "its length"
    if len(first.split()) < 2:
        return "one word"
    return None if own & words else "names nothing of the change"


def judge(verb: str, text: str, answer: dict) -> dict:
    said = answer.get("text") or ""
    reason = answer.get("finish_reason")
    row = {"verb": verb, "code": answer["code"], "reason": reason or "none", "text": said}
    row["ends"] = answer["code"] == 0 and reason in ENDS
    row["circle"] = circles(said)
    row["told"] = answer["told"] or (answer.get("error") or {}).get("message", "")
    if verb == "commit-msg":
        row["fault"] = usable(said, text) if answer["code"] == 0 else "refused"
    return row


def table(rows: list[dict]) -> None:
    print("| verb | answers | ended by themselves | of these brought to their end | ended by us: repetition, limit, other | circles shown |\n|---|---|---|---|---|---|")
    by_verb = collections.defaultdict(list)
    for row in rows:
        by_verb[row["verb"]].append(row)
        by_verb["all"].append(row)
    for verb, rows in by_verb.items():
        reasons = collections.Counter(row["reason"] for row in rows if not row["ends"])
        limit = sum(reasons[reason] for reason in LIMITS)
        other = sum(reasons.values()) - reasons["repetition"] - limit
        ended = sum(row["ends"] for row in rows) / len(rows)
        circle = sum(row["circle"] for row in rows)
        closed = sum(row["reason"] == "closed" for row in rows) / len(rows)
        print(f"| {verb} | {len(rows)} | {ended:.3f} | {closed:.3f} | {reasons['repetition']}, {limit}, {other} | {circle} |")
    faults = collections.Counter(row["fault"] or "usable" for row in by_verb["commit-msg"]) if "commit-msg" in by_verb else {}
    if faults:
        print("\ncommit messages: " + ", ".join(f"{fault} {n}" for fault, n in faults.most_common()))


def stop(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--n", type=int, default=10)
    parser.add_argument("--verbs", default=",".join(VERBS))
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--programs", type=Path, default=ROOT / "target/release")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--inputs", type=Path)
    parser.add_argument("--shard", default="0/1", metavar="I/N")
    parser.add_argument("--set", action="append", default=[], help="setting of beastd, KEY=VALUE")
    given = parser.parse_args()
    cache = ROOT / "target/answers"
    if given.inputs and given.inputs.exists():
        kinds = json.loads(given.inputs.read_text())
    else:
        kinds = {kind: inputs(kind, given.n, cache) for kind in given.kinds.split(",")}
        if given.inputs:
            given.inputs.write_text(json.dumps(kinds))
    print(", ".join(f"{kind} {len(texts)}" for kind, texts in kinds.items()), flush=True)
    tasks = [
        (verb, kind, text[:MAX_BYTES_COPIED] if verb in COPIED else text)
        for verb in given.verbs.split(",")
        for kind, texts in kinds.items()
        if suits(verb, kind)
        for text in texts
    ]
    # In a mixed order, so that what is finished at an interruption is a fair sample.
    random.Random("order").shuffle(tasks)
    part, n_parts = map(int, given.shard.split("/"))
    tasks = tasks[part::n_parts]
    rows, kept = [], given.keep.open("w") if given.keep else None
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, stop)
    with tempfile.TemporaryDirectory() as home:
        daemon = Daemon(given.programs, given.model, Path(home), given.set)
        pool = concurrent.futures.ThreadPoolExecutor(given.jobs)
        try:
            work = lambda verb, kind, text: {"kind": kind, **judge(verb, text, daemon.answer(verb, text))}
            for done in concurrent.futures.as_completed([pool.submit(work, *task) for task in tasks]):
                row = done.result()
                rows.append(row)
                if kept:
                    print(json.dumps(row), file=kept, flush=True)
        except KeyboardInterrupt:
            print(f"interrupted after {len(rows)} of {len(tasks)}")
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            daemon.stop()
    table(rows)
    sys.exit(any(row["circle"] for row in rows))


if __name__ == "__main__":
    main()
