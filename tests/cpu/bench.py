#!/usr/bin/env python3
"""Compares prefill and decoding on this CPU: beastd, llama.cpp and ik_llama.cpp, in turn, on the same file.

Usage: bench.py --model GGUF [--peers FOLDER] [--ik FOLDER] [--programs FOLDER] [--rounds 5] [--threads 1,2]
                [--prompts 32,128,512,2048] [--rows 1,2,4,8,16] [--instruction-set avx2] [--keep FILE]

Each rival runs with its weights repacked and as they are, and for each number the one with the better median counts.
Prefill is the time to the first token of a prompt that nobody has seen, without its sampling for the rivals; rows are
sequences that decode together. Ratios to the rivals compare medians of one run, in which all took turns. A shared
machine's memory is faster in one minute than in another. So two values are computed in each round, and their medians
are shown: the share of the memory's speed, as measured just before and after, at which a step reads the weights, and
how many times as fast as one row several are. Both compare median steps, because the tokens a second of beastd's
clients include the prompts of the other clients. beastd computes with its daemon's settings but for slots, context and
drafts: its KV cache is so large that it is of 8 bits where beastd chooses that by default. Those of the rivals are
f16, which is their default and faster for them. --instruction-set limits beastd alone: the rivals and beastd itself
must be built for such a CPU, whose code has fewer registers, as `make bench-cpu INSTRUCTION_SET=avx2` sees to. Needs
cc for the read speed; Linux only.
"""

import argparse
import http.client
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/gpu"))
from measure import Server, free_port  # noqa: E402

N_DECODED = 48
N_KNOWN = 16
READ_MIB = 1500
# So that what is measured does not change the type of the KV cache.
LEAST_CTX = 2048
# Of a program's own time; others may use this share of the cores before a figure means nothing.
MOST_BUSY = 0.15
# Seconds without a new large page.
SETTLED = 3
VOCAB = range(1000, 1400)


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def wait_until_quiet() -> None:
    for _ in range(120):
        before = cpu_times()
        time.sleep(1)
        after = cpu_times()
        if (after[0] - before[0]) / max(1, after[1] - before[1]) < MOST_BUSY:
            return
    sys.exit("bench-cpu: other programs keep the CPU busy; try: end them first")


def cpu_times() -> tuple[int, int]:
    """Busy and all ticks of all cores."""
    fields = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


class Beast:
    def __init__(self, programs: Path, model: Path, n_threads: int, instruction_set: str | None, n_ctx: int):
        self.home = tempfile.TemporaryDirectory()
        home, port = Path(self.home.name), free_port()
        settings = [f"model={model}", "n_slots=16", f"n_ctx={n_ctx}", "n_prefixes=0", "prefix_disk_mib=0", "speculation=off",
                    f"http.listen=127.0.0.1:{port}", f"socket={home}/b.sock", "calibration=false", f"n_threads={n_threads}"]
        names = ("HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME")
        environment = {**os.environ, **dict.fromkeys(names, str(home))}
        if instruction_set:
            environment["BEAST_TEST_INSTRUCTION_SET"] = instruction_set
        command = [str(programs / "beastd")] + [word for setting in settings for word in ("--set", setting)]
        self.server = Server("beastd", command, port, environment, home)

    def __enter__(self):
        try:
            self.server.__enter__()
        except RuntimeError as error:
            # The log is in a folder that is about to go.
            sys.exit(f"bench-cpu: {error}:\n{Path(self.server.log.name).read_text()[-2000:]}")
        return self

    def __exit__(self, *what):
        self.server.__exit__(*what)
        self.home.cleanup()

    def settle(self):
        """Waits until an idle daemon has moved what a rival read into small pages into large ones."""
        before, since = -1, time.monotonic()
        while time.monotonic() - since < SETTLED:
            smaps = Path(f"/proc/{self.server.process.pid}/smaps_rollup").read_text()
            n_large = int(re.search(r"FilePmdMapped:\s+(\d+)", smaps)[1])
            if n_large > before:
                before, since = n_large, time.monotonic()
            time.sleep(0.2)

    def prefill(self, n_tokens: int) -> float:
        prompt = random.choices(VOCAB, k=n_tokens)
        timings = self.server.complete(prompt, 1)["timings"]
        assert timings["prompt_n"] == n_tokens, timings
        return n_tokens / timings["prompt_ms"] * 1000

    def rows(self, n: int) -> tuple[float, float]:
        """Tokens a second of all rows together, and the median time of a step in seconds."""
        prompts = [random.choices(VOCAB, k=N_KNOWN) for _ in range(n)]
        with ThreadPoolExecutor(n) as clients:
            answers = list(clients.map(lambda prompt: self.stream(prompt, N_DECODED), prompts))
        steps = [step for _, steps in answers for step in steps]
        # Random weights may write nothing but a part of a character: then there is nothing to time.
        return (sum(speed for speed, _ in answers), statistics.median(steps)) if steps else self.rows(n)

    def stream(self, prompt: list[int], n: int) -> tuple[float, list[float]]:
        """Tokens a second, and the time of each step; text that is no whole character yet comes with a later one."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=300)
        body = {"prompt": prompt, "n_predict": n, "temperature": 0, "ignore_eos": True, "cache_prompt": False,
                "stream": True, "timings_per_token": True}
        connection.request("POST", "/completion", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"beastd: {response.status} {response.read()[:200]}")
        came = [(time.perf_counter(), line) for line in response if line.startswith(b"data: {")]
        connection.close()
        came = [(at, json.loads(line[len(b"data: ") :])["timings"]) for at, line in came]
        steps = []
        for (before, first), (after, second) in zip(came, came[1:]):
            if n_steps := second["predicted_n"] - first["predicted_n"]:
                steps += [(after - before) / n_steps] * n_steps
        return came[-1][1]["predicted_per_second"], steps


class Reader:
    """The loop that only reads memory, with memory of its own in large pages."""

    def __init__(self, program: Path):
        self.process = subprocess.Popen([program, str(READ_MIB), "5"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        self.process.__enter__()
        self.speed(1)  # Its memory is there.
        return self

    def __exit__(self, *what):
        self.process.__exit__(*what)

    def speed(self, n_threads: int) -> float:
        """GB/s."""
        try:
            self.process.stdin.write(f"{n_threads}\n")
            self.process.stdin.flush()
            return float(self.process.stdout.readline())
        except (OSError, ValueError):
            sys.exit("bench-cpu: read_speed ended; it needs 1.5 GB of memory, and takes 64 threads at most")


def output(*command) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, errors="replace", cwd=tempfile.gettempdir())
    if done.returncode:
        sys.exit(f"bench-cpu: {command[0]} failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout + done.stderr


def rival(folder: Path, given, n_threads: int, bench_flags: list, batched_flags: list) -> dict:
    """Tokens a second by kind and number, with these flags of llama-bench and of llama-batched-bench."""
    found = {}
    text = output(folder / "llama-bench", "-m", given.model, "-t", n_threads, "-r", 1, "-n", 0,
                  "-p", ",".join(map(str, given.prompts)), "-o", "json", *bench_flags)
    for row in json.loads(text[text.index("[\n") : text.rindex("]") + 1]):
        found["prefill", row["n_prompt"]] = row["avg_ts"]
    text = output(folder / "llama-batched-bench", "-m", given.model, "-t", n_threads, "-c", 2048, "-b", 512, "-ub", 512,
                  *batched_flags, "-npp", N_KNOWN, "-ntg", N_DECODED, "-npl", ",".join(map(str, given.rows)))
    for cells in re.findall(r"^\|\s*\d.*\|$", text, re.M):
        cells = [cell.strip() for cell in cells.strip("|").split("|")]
        found["rows", int(cells[2])] = float(cells[7])
    return found


def beast(given, n_threads: int, reader: Reader) -> dict:
    found = {}
    n_ctx = max(LEAST_CTX, max(given.prompts) + 64)
    with Beast(given.programs, given.model, n_threads, given.instruction_set, n_ctx) as daemon:
        daemon.prefill(64)
        daemon.settle()
        for n in given.prompts:
            found["prefill", n] = daemon.prefill(n)
        memory = reader.speed(n_threads)
        for n in given.rows:
            before = memory
            found["rows", n], found["step", n] = daemon.rows(n)
            memory = reader.speed(n_threads)
            found["memory", n] = (before + memory) / 2
    return found


def measure(given, reader: Reader) -> dict:
    """Speeds by threads, kind, number and program (of a rival with each way to run it), one for each round."""
    speeds = defaultdict(lambda: defaultdict(list))
    on = ["-fa", "on"]
    ways = {
        ("llama.cpp", "repacked"): (given.peers, on, on),
        ("llama.cpp", "as they are"): (given.peers, [*on, "--repack", 0], [*on, "--no-repack"]),
        # Its flash attention ends with an assertion where a sequence sees no cell of a block, as with several of them.
        ("ik_llama.cpp", "repacked"): (given.ik, ["-fa", 1, "-rtr", 1], ["-no-fa", "-rtr"]),
        ("ik_llama.cpp", "as they are"): (given.ik, ["-fa", 1], ["-no-fa"]),
    }
    for number in range(given.rounds):
        for n_threads in given.threads:
            programs = {"beastd": partial(beast, given, n_threads, reader)}
            for (name, way), (folder, *flags) in ways.items():
                if folder:
                    programs[f"{name} {way}"] = partial(rival, folder, given, n_threads, *flags)
            for name, run in programs.items():
                wait_until_quiet()
                for (kind, n), speed in run().items():
                    speeds[n_threads, kind, n][name].append(speed)
            print(f"round {number + 1}, {n_threads} threads: done", file=sys.stderr, flush=True)
            if given.keep:
                given.keep.write_text(json.dumps([[*key, dict(by)] for key, by in speeds.items()]))
    return speeds


def table(speeds: dict, model: Path) -> str:
    kept = {name for by in speeds.values() for name in by}
    names = [name for name in ("beastd", "llama.cpp", "ik_llama.cpp") if any(of.startswith(name) for of in kept)]
    columns = ["threads", "", *names, "beastd / better rival", "weights read / memory's speed", "beastd / one row"]
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    size = model.stat().st_size / 1e9
    for (n_threads, kind, n), by in sorted(speeds.items(), key=lambda item: (item[0][0], item[0][1] != "prefill", item[0][2])):
        if kind in ("memory", "step"):
            continue
        # Not the better way of each round: that would be luck, as memory is fast in one minute and slow in the next.
        ways = [[statistics.median(by[of]) for of in by if of.startswith(name)] for name in names]
        medians = [max(values, default=None) for values in ways]
        rivals = [median for median in medians[1:] if median]
        ratio = f"{medians[0] / max(rivals):.2f}" if rivals else "–"
        what = f"prompt of {n}" if kind == "prefill" else f"{n} rows"
        share = times = "–"
        if kind == "rows":
            memory = speeds[n_threads, "memory", n]["beastd"]
            steps = speeds[n_threads, "step", n]["beastd"]
            median = statistics.median(size / step / speed for step, speed in zip(steps, memory))
            share = f"{median:.2f} of {statistics.median(memory):.1f} GB/s"
            if one := speeds.get((n_threads, "step", 1)):
                times = f"{statistics.median(n * before / step for step, before in zip(steps, one['beastd'])):.2f}"
        cells = [f"{median:.1f}" if median else "–" for median in medians]
        lines.append(f"| {n_threads} | {what} | " + " | ".join(cells) + f" | {ratio} | {share} | {times} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--ik", type=Path)
    parser.add_argument("--programs", type=Path, default=ROOT / "target/release")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=numbers, default=[1, 2])
    parser.add_argument("--prompts", type=numbers, default=[32, 128, 512, 2048])
    parser.add_argument("--rows", type=numbers, default=[1, 2, 4, 8, 16])
    sets = ["avx512", "avxvnni", "avx2", "neon-i8mm", "neon-dotprod"]
    parser.add_argument("--instruction-set", choices=sets, help="beastd's kernels for this one instead of the best")
    parser.add_argument("--keep", type=Path, help="writes all figures as JSON, after each round")
    given = parser.parse_args()
    if not given.model.is_file():
        parser.error(f"{given.model}: no such file; try: .ci/speed-model llama")
    if max(given.rows) > 16:
        parser.error("--rows: at most 16, the slots of beastd here")
    for name in ("model", "peers", "ik", "programs"):
        if path := getattr(given, name):
            setattr(given, name, path.resolve())
    with tempfile.TemporaryDirectory() as folder:
        given.read_speed = Path(folder) / "read_speed"
        output("cc", "-O3", "-march=native", "-pthread", "-o", given.read_speed, ROOT / "tests/cpu/read_speed.c")
        with Reader(given.read_speed) as reader:
            speeds = measure(given, reader)
    print(f"{given.model.name}, tokens a second, medians of {given.rounds} rounds\n\n{table(speeds, given.model)}")


if __name__ == "__main__":
    main()
