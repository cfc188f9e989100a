"""Measures beastd on a GPU beside llama.cpp's own tools, built from the same sources. Standard library only."""
import argparse, json, os, re, socket, statistics, subprocess, sys, threading, time
import http.client
from pathlib import Path

WIDTHS = (1, 2, 4, 8, 16)
# A multiple of the 400 tokens that a long answer has, because clients come and go one after another: each change of the
# batch's shape costs a GPU several steps, which llama-batched-bench does not have.
N_TOKENS = 900
DEVICES = {"cuda": "CUDA0", "vulkan": "Vulkan0"}
PROMPT = "The quick brown fox jumps over the lazy dog near the river bank while the sun sets slowly behind the hills."
SENTENCE = "The release notes say that the parser now reads tables, that two flags were renamed, and that builds are faster."
# Five kinds of tasks with four prompts each; text to copy is part of the prompt.
KINDS = {
    "copy": [f"Correct the spelling and write the text again:\n{SENTENCE}\n{SENTENCE}\n\nText:\n{SENTENCE}\n",
             f"Repeat this list:\n- alpha\n- beta\n- gamma\n- delta\n{SENTENCE}\n\nList:\n- alpha\n- beta\n",
             f"Quote the passage word by word.\n\n{PROMPT} {SENTENCE}\n\nPassage: The quick brown fox",
             "Rename foo to bar:\nfn foo(a: u32) -> u32 { foo(a - 1) + 1 }\n\nResult:\nfn bar(a: u32) -> u32 {"],
    "prose": ["Once upon a time in a small village by the sea,", "The history of the printing press begins with",
              "Dear colleagues,\n\nthank you for", "The most important thing about sleep is"],
    "code": ["def fibonacci(n):\n", "use std::collections::HashMap;\n\nfn main() {\n", "#include <stdio.h>\n\nint main(void) {\n",
             "SELECT name, count(*) FROM users"],
    "list": ["Ten fruits:\n1. Apple\n2.", "Steps to bake bread:\n1.", '{"items": [{"id": 1, "name": "one"}, {"id": 2,',
             "| city | country |\n|---|---|\n| Paris | France |\n"],
    "chat": ["User: What is a compiler?\nAssistant:", "User: Summarize the meeting.\nAssistant: The meeting",
             "Question: Why is the sky blue?\nAnswer:", "Commit message for a change that fixes a typo:\n"],
}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A program that answers /completion on a port."""

    def __init__(self, name, command, port, env, out):
        self.name, self.port = name, port
        self.log = open(out / f"{name}.log", "w")
        self.began = time.time()
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=env)

    def __enter__(self):
        until = time.time() + 120
        while time.time() < until:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended: see its log")
            try:
                self.complete("a", 1)
                self.ready_s = time.time() - self.began
                return self
            except (OSError, RuntimeError, http.client.HTTPException):
                time.sleep(0.05)
        raise RuntimeError(f"{self.name} does not answer")

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()

    def complete(self, prompt, n, **more):
        body = {"prompt": prompt, "n_predict": n, "temperature": 0, "ignore_eos": True, "cache_prompt": False, **more}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        connection.request("POST", "/completion", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read()
        connection.close()
        if response.status != 200:
            raise RuntimeError(f"{self.name}: {response.status} {text[:200]}")
        return json.loads(text)

    def first_token_ms(self, prompt):
        """From the request to the first piece of the answer, as a client sees it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        body = {"prompt": prompt, "n_predict": 2, "temperature": 0, "ignore_eos": True, "stream": True}
        connection.connect()
        began = time.perf_counter()
        connection.request("POST", "/completion", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        while b"data:" not in response.readline():
            pass
        ms = (time.perf_counter() - began) * 1000
        response.read()
        connection.close()
        return ms


def beastd(a, name, model, *settings, env=None):
    port = free_port()
    home = a.out / f"{name}.home"
    env = {**os.environ, "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "XDG_CACHE_HOME": str(a.work / "cache"), **(env or {})}
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = [f"backend={a.backend}", f"backend_dir={a.work}/plugins", f"model={model}", "n_slots=16", "n_ctx=2048", "n_prefixes=8",
                f"http.listen=127.0.0.1:{port}", f"socket={home}/b.sock", "prefix_disk_mib=0", "calibration=false", *settings]
    command = [str(a.work / "beastd")] + [word for setting in settings for word in ("--set", setting)]
    server = Server(name, command, port, env, a.out)
    server.socket, server.env = f"{home}/b.sock", env
    return server


def status(a, server):
    """What the daemon says of itself; without the backend that is to be measured, an error."""
    text = subprocess.run([a.work / "beastctl", "--socket", server.socket, "status", "--json"], env=server.env, capture_output=True, text=True).stdout
    known = json.loads(text) if text.strip() else {}
    backend = (known.get("model") or {}).get("backend", "unknown")
    if not backend.lower().startswith(a.backend):
        raise RuntimeError(f"{server.name} computes on {backend}: {[notice.get('text') for notice in known.get('notices', [])]}")
    return known


def llama_server(a, model, n_slots=16):
    port = free_port()
    command = [str(a.work / "build/bin/llama-server"), "-dev", DEVICES[a.backend], "-m", str(model), "-ngl", "99", "-np", str(n_slots), "-c", str(2048 * n_slots),
               "--host", "127.0.0.1", "--port", str(port), "-fa", "on"]
    return Server("llama-server", command, port, dict(os.environ), a.out)


def at_once(server, width, n=N_TOKENS):
    """Tokens a second of so many clients together, from the first request to the last answer; decoding alone beside it."""
    results = [None] * width
    start = threading.Barrier(width + 1)

    def client(i):
        start.wait()
        results[i] = server.complete(f"{i}: {PROMPT}", n)
    threads = [threading.Thread(target=client, args=(i,)) for i in range(width)]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - began
    n_all = sum(result["tokens_predicted"] for result in results)
    each = [result["timings"]["predicted_per_second"] for result in results]
    return {"clients": width, "tokens_per_s": n_all / wall, "decode_per_s": sum(each)}


def widths(a, server):
    at_once(server, 4, 32)
    rounds = [[at_once(server, width) for width in WIDTHS] for _ in range(a.rounds)]
    return medians(rounds)


def medians(rounds):
    """Of each number of each row, over the rounds."""
    return [{key: statistics.median(row[key] for row in rows) for key in rows[0]} for rows in zip(*rounds)]


def run(command, seconds=150):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=seconds)
    return done.stdout + done.stderr


def batched_bench(a, model):
    return [a.work / "build/bin/llama-batched-bench", "-dev", DEVICES[a.backend], "-m", model, "-ngl", 99, "-c", 16384, "-b", 2048,
            "-ub", 512, "-fa", "on", "-npp", 32, "-ntg", N_TOKENS, "-npl", ",".join(map(str, WIDTHS))]


def llama_tools(a, model):
    bench = json_tail(run([a.work / "build/bin/llama-bench", "-dev", DEVICES[a.backend], "-m", model, "-ngl", 99, "-p", 512, "-n", 128, "-fa", 1, "-o", "json"]))
    command = batched_bench(a, model)
    # With llama.cpp's defaults, where each sequence has its own cells; and with one pool of cells for all, as in
    # beastd.
    rounds = [(batched(run(command)), batched(run([*command, "-kvu"]))) for _ in range(a.rounds)]
    divided, one_pool = (medians(columns) for columns in zip(*rounds))
    return {"llama_bench": bench, "batched_bench": divided, "one_pool": one_pool}


def batched(text):
    rows = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) >= 8 and cells[0].isdigit():
            rows.append({"clients": int(cells[2]), "decode_per_s": float(cells[7])})
    if not rows:
        raise RuntimeError(f"llama-batched-bench: {text[-2000:]}")
    return rows


def json_tail(text):
    found = re.search(r"^\[.*^\]", text, re.S | re.M)
    if not found:
        return {"text": text[-2000:]}
    return [{"n_prompt": r["n_prompt"], "n_gen": r["n_gen"], "tokens_per_s": r["avg_ts"]} for r in json.loads(found.group())]


def first_tokens(server):
    def median(prompts):
        return sorted(server.first_token_ms(prompt) for prompt in prompts)[len(prompts) // 2]
    # No trailing space: it would be a separate token, which longer prompts do not have at that position.
    prefix = ("You answer in one sentence and name no sources. " * 20).strip()
    server.complete(prefix, 1, cache_prompt=True)
    known = [f"{prefix} Question {i}: what is this?" for i in range(9)]
    timings = server.complete(f"{prefix} Question: who is that?", 1, cache_prompt=True)["timings"]
    return {"cold_20_tokens_ms": median([f"{i} {PROMPT}"[:90] for i in range(9)]), "known_prefix_ms": median(known),
            "known_tokens": timings.get("cache_n"), "new_tokens": timings.get("prompt_n")}


def kinds(server):
    table = {}
    for kind, prompts in KINDS.items():
        rows = []
        for prompt in prompts:
            result = server.complete(prompt, 160)
            timings = result["timings"]
            rows.append({"prompt": prompt[:40], "tokens_per_s": timings["predicted_per_second"], "text": result["content"],
                         "drafted": timings.get("draft_n", 0), "accepted": timings.get("draft_n_accepted", 0)})
        table[kind] = rows
    return table


def speculation(plain, fast):
    """Fast over plain, for each prompt, and whether the texts are the same."""
    table = {}
    for kind in KINDS:
        rows = []
        for a, b in zip(plain[kind], fast[kind]):
            rows.append({"prompt": a["prompt"], "plain": a["tokens_per_s"], "ratio": b["tokens_per_s"] / a["tokens_per_s"],
                         "acceptance": b["accepted"] / b["drafted"] if b["drafted"] else None, "same_text": a["text"] == b["text"]})
        table[kind] = rows
    return table


def greedy(server):
    prompts = [prompts[0] for prompts in KINDS.values()]
    return [server.complete(prompt, 64, n_probs=2) for prompt in prompts]


def compare(ours, cpu):
    """Whether the texts are equal; where not, how close the two likeliest tokens were."""
    rows = []
    for a, b in zip(ours, cpu):
        row = {"same": a["content"] == b["content"]}
        pairs = zip(a.get("completion_probabilities", []), b.get("completion_probabilities", []))
        for n, (x, y) in enumerate(pairs):
            if x["id"] != y["id"]:
                top = [one["logprob"] for one in y.get("top_logprobs", [])][:2]
                row.update(first_difference=n, gap=abs(top[0] - top[1]) if len(top) == 2 else None)
                break
        rows.append(row)
    return rows


def part(a, report, name, work):
    """One part that fails, or takes longer than the machine is rented for, leaves the others."""
    began = time.time()
    try:
        report[name] = work()
    except Exception as error:  # noqa: BLE001
        report[name] = {"failed": repr(error)}
    print(f"{name}: {time.time() - began:.0f} s", flush=True)
    text = tables(report, a.shapes)
    for suffix, content in (("json", json.dumps(report, indent=1)), ("md", text)):
        (a.out / f"report-{a.backend}-{'-'.join(a.shapes)}.{suffix}").write_text(content)
    return text


def measure(a):
    report = {"date": time.strftime("%F %T"), "gpu": run(["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]).strip()}
    for shape in a.shapes:
        model = a.work / f"{shape}.gguf"
        draft = f"draft={a.work}/350m.gguf"
        text = part(a, report, f"{shape} tools", lambda: llama_tools(a, model))

        def plain():
            with beastd(a, f"beastd-plain-{shape}", model, "speculation=off") as server:
                known = status(a, server)
                return {"ready_s": server.ready_s, "status": known, "widths": widths(a, server), "first": first_tokens(server),
                        "kinds": kinds(server), "greedy": greedy(server)}
        text = part(a, report, f"{shape} plain", plain)

        def usual():
            with beastd(a, f"beastd-usual-{shape}", model, "speculation=auto", "draft=none") as server:
                status(a, server)
                return {"widths": widths(a, server), "kinds": kinds(server)}
        text = part(a, report, f"{shape} lookup", usual)
        if shape == "2.6b":
            def drafts():
                with beastd(a, f"beastd-draft-{shape}", model, "speculation=auto", draft) as server:
                    return {"status": status(a, server), "widths": widths(a, server), "kinds": kinds(server)}
            text = part(a, report, f"{shape} draft", drafts)

        def theirs():
            with llama_server(a, model) as server:
                return {"ready_s": server.ready_s, "widths": widths(a, server), "first": first_tokens(server)}
        text = part(a, report, f"{shape} llama-server", theirs)

        def on_cpu():
            with beastd(a, f"beastd-cpu-{shape}", model, "speculation=off", "backend=cpu", "n_slots=1") as server:
                return {"greedy": greedy(server)}
        text = part(a, report, f"{shape} cpu", on_cpu)
    print(text)


def tables(report, shapes):
    lines = [f"# {report['gpu']}, {report['date']}"]
    for shape in shapes:
        get = lambda name, key: (report.get(f"{shape} {name}") or {}).get(key)  # noqa: E731
        lines += ["", f"## {shape}", "", f"llama-bench: {get('tools', 'llama_bench')}", ""]
        lines += ["| clients | batched-bench | with one KV pool | beastd plain | beastd lookup | beastd draft | llama-server |", "|---|---|---|---|---|---|---|"]
        columns = [get("tools", "batched_bench"), get("tools", "one_pool"), *(get(name, "widths") for name in ("plain", "lookup", "draft", "llama-server"))]
        for i, width in enumerate(WIDTHS):
            row = []
            for column in columns:
                cell = column[i] if column and i < len(column) else {}
                both = [f"{cell[key]:.0f}" for key in ("decode_per_s", "tokens_per_s") if key in cell]
                row.append(" / ".join(both) or "–")
            lines.append(f"| {width} | " + " | ".join(row) + " |")
        lines += ["", "Tokens a second of all clients together: decoding / from request to answer.", ""]
        stages = (get("plain", "status") or {}).get("stages")
        lines += [f"load: {stages}", f"first token: beastd {get('plain', 'first')}, llama-server {get('llama-server', 'first')}", ""]
        for name in ("lookup", "draft"):
            if get(name, "kinds") and get("plain", "kinds"):
                for kind, rows in speculation(get("plain", "kinds"), get(name, "kinds")).items():
                    ratios = ", ".join(f"{r['ratio']:.2f} ({'–' if r['acceptance'] is None else format(r['acceptance'], '.2f')}{'' if r['same_text'] else ', other text'})" for r in rows)
                    lines.append(f"{name} over plain, {kind}: {ratios}")
        if get("plain", "greedy") and get("cpu", "greedy"):
            lines += ["", f"greedy text as on the CPU: {compare(get('plain', 'greedy'), get('cpu', 'greedy'))}"]
        lines += [f"{name} failed: {report[key]['failed']}" for name in ("tools", "plain", "lookup", "draft", "llama-server", "cpu")
                  if "failed" in (report.get(key := f"{shape} {name}") or {})]
    return "\n".join(lines) + "\n"


def profile(a):
    """beastd's own timers: its log has a line for each second of work (BEAST_TIMINGS)."""
    variants = {"divided": ["speculation=off"], "one-pool": ["speculation=off", "n_cells=32768"], "lookup": ["speculation=auto", "draft=none"]}
    for shape in a.shapes:
        for name, settings in variants.items():
            with beastd(a, f"profile-{shape}-{name}", a.work / f"{shape}.gguf", *settings, "log=info", env={"BEAST_TIMINGS": "1"}) as server:
                at_once(server, 4, 32)
                for width in WIDTHS:
                    print(shape, name, at_once(server, width), flush=True)
                    time.sleep(0.2)
                print(shape, name, first_tokens(server), flush=True)
            log = (a.out / f"profile-{shape}-{name}.log").read_text()
            print("\n".join(line for line in log.splitlines() if "step timings" in line or "timed steps" in line), flush=True)
        print(shape, "llama-batched-bench", batched(run(batched_bench(a, a.work / f"{shape}.gguf"))), flush=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("what", choices=("measure", "profile"))
    ap.add_argument("--work", type=Path, required=True)
    ap.add_argument("--out", type=Path, required=True)
    ap.add_argument("--backend", default="cuda", choices=("cuda", "vulkan"), help="of beastd and of llama.cpp's tools")
    ap.add_argument("--shapes", default="2.6b,350m", type=lambda text: text.split(","))
    ap.add_argument("--rounds", type=int, default=3, help="of which medians are taken, for decoding")
    a = ap.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    {"measure": measure, "profile": profile}[a.what](a)


if __name__ == "__main__":
    sys.exit(main())
