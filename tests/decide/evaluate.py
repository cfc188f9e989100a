#!/usr/bin/env python3
"""Evaluates decisions on public labelled sentences, against the same model writing its answer, and the majority.

Usage: tests/decide/evaluate.py --model GGUF [--sets movies,tweets,products] [--n 200] [--speed] [--beastd PATH]

The sentences are those of Hutto & Gilbert (2014), rated by twenty people each, from the source package
vaderSentiment 3.3.2 (MIT). Only clear ratings count (above 1 or below -1 on a scale from -4 to 4), half of them
positive, drawn with a fixed seed. The first half fits the temperature (`beastctl decide --calibrate`), the table shows
the second half. Needs python3 and pip, nothing else.
"""

import argparse
import html
import io
import json
import math
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "vaderSentiment==3.3.2"
SETS = {
    "movies": ("movieReviewSnippets_GroundTruth.txt", "Is this a positive movie review?"),
    "tweets": ("tweets_GroundTruth.txt", "Is the author of this tweet happy?"),
    "products": ("amazonReviewSnippets_GroundTruth.txt", "Is this a positive product review?"),
}
N_BINS = 10


def examples(cache: Path, name: str, n: int) -> list[tuple[str, bool]]:
    source = next(cache.glob("vaderSentiment-*.tar.gz"), None)
    if source is None:
        cache.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*command, "--dest", str(cache), PACKAGE], check=True)
        source = next(cache.glob("vaderSentiment-*.tar.gz"))
    with tarfile.open(source) as outer:
        inner = next(member for member in outer.getmembers() if member.name.endswith("hutto_ICWSM_2014.tar.gz"))
        data = outer.extractfile(inner).read()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        member = next(member for member in archive.getmembers() if member.name.endswith(SETS[name][0]))
        lines = archive.extractfile(member).read().decode("latin-1").splitlines()
    rows = [line.split("\t") for line in lines]
    rated = [(html.unescape(row[2]).strip(), float(row[1])) for row in rows if len(row) == 3]
    random.seed(16)
    random.shuffle(rated)
    positive = [(text, True) for text, rating in rated if rating > 1]
    negative = [(text, False) for text, rating in rated if rating < -1]
    # Interleaved, so that each half has equally many of both.
    return [one for pair in zip(positive, negative) for one in pair][:n]


def quality(judged: list[tuple[float, bool]]) -> tuple[float, float, float]:
    """Accuracy, log loss and expected calibration error of probabilities of a yes."""
    n, loss, n_right = len(judged), 0.0, 0
    bins = [[0, 0, 0.0] for _ in range(N_BINS)]
    for yes, label in judged:
        answer, sure = yes >= 0.5, max(yes, 1 - yes)
        loss -= math.log(max(yes if label else 1 - yes, 1e-9))
        n_right += answer == label
        place = bins[min(int(sure * N_BINS), N_BINS - 1)]
        place[0] += 1
        place[1] += answer == label
        place[2] += sure
    ece = sum(abs(right - sure) for _, right, sure in bins) / n
    return n_right / n, loss / n, ece


class Daemon:
    def __init__(self, beastd: Path, model: str, home: Path):
        self.beastctl = beastd.with_name("beastctl")
        variables = ["HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"]
        self.environment = {**os.environ, **dict.fromkeys(variables, str(home)), "BEAST_SOCKET": str(home / "s.sock")}
        # A copy, so that earlier fits are not used and new ones do not stay.
        copy = home / Path(model).name
        copy.symlink_to(Path(model).resolve()) if model != "builtin" else None
        setting = "builtin" if model == "builtin" else str(copy)
        command = [str(beastd), "--model", setting, "--set", "http.listen=127.0.0.1:0"]
        self.process = subprocess.Popen(command, env=self.environment, stderr=(home / "log").open("w"))
        self.address = None
        while self.address is None:
            time.sleep(0.1)
            found = [line.rsplit("address=", 1)[1] for line in (home / "log").read_text().splitlines() if "serving HTTP" in line]
            self.address = found[0].strip().strip('"') if found else None
            assert self.process.poll() is None, (home / "log").read_text()

    def post(self, path: str, body: dict) -> dict:
        request = urllib.request.Request(f"http://{self.address}{path}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=600) as reply:
            return json.load(reply)

    def decide(self, text: str, question: str) -> float:
        questions = {"q": {"type": "noul", "instructions": question}}
        return self.post("/v1/systemone", {"state": text, "questions": questions})["answers"]["q"]["noul"]

    def write(self, text: str, question: str) -> float | None:
        content = f"Text:\n{text}\n\nQuestion: {question}\nAnswer Yes or No."
        body = {"messages": [{"role": "user", "content": content}], "temperature": 0, "max_tokens": 16}
        said = self.post("/v1/chat/completions", body)["choices"][0]["message"]["content"].strip().lower()
        words = "".join(c if c.isalpha() else " " for c in said).split()
        found = [word for word in words if word in ("yes", "no")]
        return None if not found else float(found[0] == "yes")

    def calibrate(self, path: Path, question: str) -> None:
        subprocess.run([self.beastctl, "decide", "--calibrate", path, question], env=self.environment, check=True)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def row(name: str, judged: list[tuple[float, bool]], note: str = "") -> str:
    accuracy, loss, ece = quality(judged)
    return f"| {name} | {accuracy:.3f} | {loss:.2f} | {ece:.3f} | {note}"


def evaluate(daemon: Daemon, name: str, n: int, home: Path, cache: Path) -> None:
    question = SETS[name][1]
    rows = examples(cache, name, n)
    fitting, shown = rows[: n // 2], rows[n // 2 :]
    began = time.monotonic()
    before = [(daemon.decide(text, question), label) for text, label in shown]
    each = (time.monotonic() - began) / len(shown)
    labelled = home / f"{name}.jsonl"
    labelled.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in fitting))
    daemon.calibrate(labelled, question)
    after = [(daemon.decide(text, question), label) for text, label in shown]
    print(f"\n{name}: {len(shown)} sentences, {question}\n\n| | accuracy | log loss | ECE | |\n|---|---|---|---|---|")
    print(row("decide", before, f"{each * 1000:.0f} ms each |"))
    print(row("decide, calibrated", after, "|"))
    written = [(daemon.write(text, question), label) for text, label in shown]
    n_none = sum(answer is None for answer, _ in written)
    told = [(0.0 if answer is None else answer, label) for answer, label in written]
    print(row("written", told, f"{n_none} without a yes or no |"))
    is_yes = sum(label for _, label in fitting) * 2 >= len(fitting)
    print(row("majority", [(float(is_yes), label) for _, label in shown], "|"), flush=True)


def speed(daemon: Daemon, cache: Path) -> None:
    """One question and five, about texts of some 1,000 tokens that no prefix cache knows."""
    sentences = [text for name in SETS for text, _ in examples(cache, name, 400)]
    random.shuffle(sentences)
    asked = ["Is it about music?", "Is it about food?", "Is it about work?", "Is it about films?", "Is it about sport?"]
    times: dict[int, list[float]] = {1: [], 5: []}
    for nth in range(10):
        n = (1, 5)[nth % 2]
        state = "\n".join(random.sample(sentences, 45))
        questions = {f"q{i}": {"type": "noul", "instructions": text} for i, text in enumerate(asked[:n])}
        began = time.monotonic()
        reply = daemon.post("/v1/systemone", {"state": state, "questions": questions})
        times[n].append(time.monotonic() - began)
        print(f"{n} questions: {times[n][-1]:.2f} s, {reply['usage']['input_tokens']} tokens in all prompts", flush=True)
    one, five = (sorted(times[n])[len(times[n]) // 2] for n in (1, 5))
    print(f"medians: {one:.2f} s and {five:.2f} s, {five / one:.2f}x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a GGUF file, or builtin")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--speed", action="store_true", help="time one question and five instead")
    parser.add_argument("--beastd", type=Path, default=ROOT / "target/release/beastd")
    options = parser.parse_args()
    cache = ROOT / "target/decide"
    print(f"model: {options.model}")
    # A daemon for each set, because a fit applies to one set only.
    for name in ["speed"] if options.speed else options.sets.split(","):
        with tempfile.TemporaryDirectory() as folder:
            daemon = Daemon(options.beastd.resolve(), options.model, Path(folder))
            try:
                if options.speed:
                    speed(daemon, cache)
                else:
                    evaluate(daemon, name, options.n, Path(folder), cache)
            finally:
                daemon.stop()


if __name__ == "__main__":
    main()
