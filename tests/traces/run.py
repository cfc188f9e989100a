"""`make bench-traces`: requests for three models in memory for two, on beastd and on llama-server's router.

The same seeded trace of chats and embeddings runs in real time on both, one after the other, and ollama's rule is
simulated on the times that each model took alone. Needs Linux, and a machine that does nothing else. About ten minutes.
Standard library only. Every server has a home of its own and is ended by its process id.
"""
import argparse, dataclasses, json, os, random, signal, statistics, sys, threading, time
from pathlib import Path

import report, rule, workload
from servers import Beast, Router
from workload import CHAT, EMBED, Request

GB = 1e9
# Seconds between two looks at the memory.
PAUSE = 0.05
# A larger share of busy cores makes every number random.
BUSY = 0.1
began = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - began:4.0f} s] {text}", file=sys.stderr, flush=True)


def arguments():
    project = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--models", nargs=3, type=Path, metavar=("A", "B", "C"), help="GGUF files, the largest first; C embeds")
    add("--peers", type=Path, help="folder with llama-server (.ci/peers); without it, only beastd is measured")
    add("--programs", type=Path, default=project / "target/release", help="folder with beastd and beastctl")
    add("--cap", type=float, default=4.0,
        help="memory for all models in GB (default 4); another is chosen if it is not room for two models only")
    add("--threads", type=int, default=os.cpu_count(), help="threads that compute (default: all cores)")
    add("--n-ctx", type=int, default=8192, help="context of a slot (default 8192)")
    add("--n-slots", type=int, default=4, help="slots of a model (default 4)")
    add("--seed", type=int, default=1, help="of the trace (default 1)")
    add("--json", type=Path, default=project / "target/traces.json",
        help="file for all that was measured (default target/traces.json)")
    add("--tiny", action="store_true", help="copies of the built-in model and a short trace, to try this program")
    add("--force", action="store_true", help="measure although the machine is busy")
    options = parser.parse_args()
    if options.tiny:
        options.models, options.n_ctx = tiny_models(project), 2048
    if not options.models:
        parser.error("--models is missing, or --tiny")
    options.programs, options.peers = options.programs.resolve(), options.peers and options.peers.resolve()
    options.models = {name: str(path.resolve()) for name, path in zip("ABC", options.models)}
    options.shape = workload.TINY if options.tiny else workload.Shape()
    options.cap_gb, options.cap = options.cap, None
    return options


def tiny_models(project):
    built_in, folder = project / "models/cub/cub.gguf", project / "target/models"
    folder.mkdir(parents=True, exist_ok=True)
    copies = [folder / f"tiny-{name}.gguf" for name in "abc"]
    for copy in copies:
        # Other names, because beastd remembers one file of each content as tried.
        before, name, after = built_in.read_bytes().partition(b"general.name")
        copy.write_bytes(before + name + after.replace(b"cub", b"cu" + copy.stem[-1].encode(), 1))
    return copies


def busy():
    """The share of all cores that other programs use, over a second."""
    def ticks():
        values = [int(value) for value in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return sum(values), values[3] + values[4]
    total, idle = ticks()
    time.sleep(1)
    total, idle = (now - before for now, before in zip(ticks(), (total, idle)))
    return 1 - idle / max(total, 1)


def fill_page_cache(path):
    with open(path, "rb") as file:
        while file.read(1 << 22):
            pass


class Watch:
    """The most memory that a server and its children have had at one moment."""

    def __init__(self, server):
        self.server, self.peak, self.parts, self.is_over = server, 0, [], threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)

    def look(self):
        while not self.is_over.is_set():
            parts = self.server.memory()
            peak = sum(part["VmRSS"] for part in parts)
            if peak > self.peak:
                self.peak, self.parts = peak, parts
            self.is_over.wait(PAUSE)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()


def play(server, requests):
    """Sends each request at its time, whether or not the others have been answered."""
    answers, errors, lock = {}, [], threading.Lock()
    start = time.monotonic() + 0.2

    def one(request):
        time.sleep(max(0.0, start + request.at - time.monotonic()))
        try:
            answer = server.ask(request)
        except Exception as error:  # the first error ends the measurement below
            with lock:
                errors.append(error)
            return
        with lock:
            answers[request.number] = (answer, time.monotonic() - start)
            if len(answers) % 8 == 0:
                say(f"  {len(answers)} of {len(requests)} requests answered")

    threads = [threading.Thread(target=one, args=(request,), daemon=True) for request in requests]
    n_before = server.n_loads()
    with Watch(server) as watch:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
    return {"makespan": max(end for _, end in answers.values()),
            "first": [answers[request.number][0].first for request in requests],
            "n_loads": server.n_loads() - n_before, "peak": watch.peak, "at_peak": watch.parts}


def alone(server, shape, dice):
    """What a load and a request of each model take when nothing else runs."""
    times = {}
    for model in "ABC":
        say(f"  {server.name}: model {model} alone")
        fill_page_cache(server.models[model])
        server.load(model)
        server.unload(model)
        load = server.load(model)
        if model == "C":
            texts = [[workload.text(dice, shape.n_words) for _ in range(shape.n_texts)] for _ in range(3)]
            taken = [server.ask(Request(0, 0, model, EMBED, content)).end for content in texts]
            times[model] = rule.Times(load, statistics.median(taken), statistics.median(taken), 0.0)
            continue
        system = workload.text(dice, shape.n_instruction)
        asked = [Request(0, 0, model, CHAT, workload.conversation(system, workload.text(dice, shape.n_words)),
                         shape.n_tokens) for _ in range(4)]
        answers = [server.ask(request) for request in asked]
        warm = statistics.median(answer.first for answer in answers[1:])
        answer = statistics.median(answer.end - answer.first for answer in answers)
        times[model] = rule.Times(load, answers[0].first, warm, answer)
    return times


def swaps(server, shape):
    """Seconds of each load in turns, so that every one takes the place of another model."""
    taken = {model: [] for model in "ABC"}
    for turn in range(shape.n_rounds + 1):
        for model in "ABC":
            seconds = server.load(model)
            # In the first round some were loaded already.
            if turn > 0:
                taken[model].append(seconds)
    return taken


def prefixes(server, shape, dice):
    """Seconds to the first token with a known instruction: just used, and after the model was away."""
    known, returned, n_cached = [], [], []
    for _ in range(shape.n_rounds):
        system = workload.text(dice, shape.n_prefix)

        def ask():
            content = workload.conversation(system, workload.text(dice, shape.n_words))
            return server.ask(Request(0, 0, "A", CHAT, content, 2))

        server.load("A")
        ask()
        ask()
        known += [ask().first, ask().first]
        # The others are used, so that A is the one that has to leave.
        server.load("B")
        server.ask(Request(0, 0, "B", CHAT, workload.conversation("Hello.", "Hello."), 1))
        server.load("C")
        server.ask(Request(0, 0, "C", EMBED, ["Hello."]))
        if server.state("A") == "loaded":
            server.unload("A")
        server.load("A")
        answer = ask()
        returned.append(answer.first)
        n_cached.append(answer.n_cached)
    return {"known": known, "returned": returned, "n_cached": n_cached}


def measure(server, options, result, keep):
    """Everything about one server, into `result`, which is kept after each part. Returns the times of each model."""
    shape = options.shape
    dice = random.Random(options.seed + 1)
    times = alone(server, shape, dice)
    result["times"] = {model: dataclasses.asdict(one) for model, one in times.items()}
    keep()
    say(f"  {server.name}: the trace")
    # The two that are used most are there at the beginning.
    for model in "CBA":
        server.load(model)
    if isinstance(server, Beast):
        server.forget_peak()
    result["trace"] = play(server, workload.make(options.seed, shape))
    if isinstance(server, Beast):
        # The kernel misses nothing between two looks.
        result["trace"]["peak"] = max(result["trace"]["peak"], server.peak())
    keep()
    say(f"  {server.name}: swaps")
    result["swaps"] = swaps(server, shape)
    keep()
    say(f"  {server.name}: instructions after a swap")
    result["prefixes"] = prefixes(server, shape, dice)
    keep()
    return times


def choose_cap(options):
    """The cap in bytes, which has room for two of the models and not for three; and the bytes of each."""
    with Beast(options.models, options) as beast:
        for model in "ABC":
            beast.load(model)
        n_bytes = beast.n_bytes()
    pair, cap = sum(sorted(n_bytes.values())[1:]), options.cap_gb * GB
    if not pair <= cap < sum(n_bytes.values()):
        cap = (pair + sum(n_bytes.values())) / 2
        say(f"{options.cap_gb} GB is not room for exactly two of these models; the cap is {cap / GB:.2f} GB")
    return int(cap), n_bytes


def main():
    options = arguments()
    # So that the servers are ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    share = busy()
    if share > BUSY and not options.force:
        sys.exit(f"the machine is {100 * share:.0f} % busy; try: wait until it is idle, or give --force")
    say("reading the models")
    for path in options.models.values():
        fill_page_cache(path)
    found = {"seed": options.seed, "models": options.models, "busy": share, "n_cores": os.cpu_count(),
             "n_ctx": options.n_ctx, "n_slots": options.n_slots, "threads": options.threads}

    def keep():
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(found, indent=1) + "\n")

    say("the memory of each model")
    options.cap, n_bytes = choose_cap(options)
    found |= {"cap": options.cap, "n_bytes": n_bytes}
    requests = workload.make(options.seed, options.shape)
    say(f"trace: {len(requests)} requests in {requests[-1].at:.0f} s, {''.join(request.model for request in requests)}")
    for kind in [Beast, Router] if options.peers else [Beast]:
        say(kind.name)
        with kind(options.models, options) as server:
            result = found[kind.name] = {}
            times = measure(server, options, result, keep)
        simulated = rule.simulate(workload.make(options.seed, options.shape), times, n_bytes, options.cap)
        found[f"ollama on {kind.name}"] = simulated
        keep()
    print(report.printed(report.table(found)))
    say(f"kept in {options.json}")


if __name__ == "__main__":
    main()
