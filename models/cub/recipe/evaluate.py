"""Generate on held-out prompts with llama-server (greedy) and score the answers.

summarize: ROUGE-L and keyword F1 against the reference, next to the baseline "first sentence of the text".
commit:    exact match, ROUGE-L and keyword F1, next to the baseline "Update FILE".
ask:       known names asked in held-out wordings (exact match, ROUGE-L); invented names (share of "I do not know").
Instructions use wordings that training never saw.
"""
import argparse, json, random, re, subprocess, time, urllib.request
from pathlib import Path

import diffs
from pairs import first_sentence, invented, question, vary, words
from prompts import chatml, layout


class Server:
    def __init__(self, binary, model, port=18931, threads=1):
        self.url = f"http://127.0.0.1:{port}"
        self.p = subprocess.Popen([binary, "-m", str(model), "-t", str(threads), "-tb", str(threads), "--host", "127.0.0.1", "--port", str(port), "-c", "4096", "-np", "1"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(300):
            try:
                urllib.request.urlopen(self.url + "/health")
                return
            except OSError:
                time.sleep(.2)
        raise SystemExit("server did not start")

    def complete(self, prompt, n=64, **kw):
        body = {"prompt": prompt, "temperature": 0, "n_predict": n, "cache_prompt": False, **kw}
        r = urllib.request.Request(self.url + "/completion", json.dumps(body).encode(), {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(r, timeout=300))

    def close(self):
        self.p.terminate()
        self.p.wait()


def rouge_l(a, b):
    a, b = re.findall(r"\w+", a.lower()), re.findall(r"\w+", b.lower())
    if not a or not b:
        return 0.0
    row = [0] * (len(b) + 1)
    for x in a:
        prev = 0
        for j, y in enumerate(b, 1):
            cur = row[j]
            row[j] = prev + 1 if x == y else max(row[j], row[j - 1])
            prev = cur
    l = row[-1]
    return 2 * l / (len(a) + len(b))


def keyword_f1(a, b):
    a, b = set(words(a)), set(words(b))
    return 2 * len(a & b) / (len(a) + len(b)) if a and b else 0.0


def cases(work, n, rng):
    pairs = [json.loads(l) for l in open(work / "pairs.jsonl")]
    out = []
    he = [p for p in pairs if p["held"] and p["task"] == "summarize"]
    deb = [p for p in he if p["src"] == "debian"]
    oth = [p for p in he if p["src"] != "debian"]
    rng.shuffle(deb)
    rng.shuffle(oth)
    for name, ps in (("summarize/debian", deb[:n]), ("summarize/other", oth[:n // 2])):
        for p in ps:
            t = vary(p, rng)
            body = re.sub(r"^#? ?\S+\n\n", "", t)
            out.append((name, p["src"], t, layout("summarize", t, rng, True), p["answer"], first_sentence(body)))
    v, _, files = diffs.load(work / "code.json")
    for (op, d, m), _ in zip(diffs.generate(v, files, random.Random(77)), range(n)):
        f = re.search(r"^\+\+\+ b/(\S+)|^--- a/(\S+)|^rename to (\S+)", d, re.M)
        f = next(x for x in f.groups() if x).split("/")[-1] if f else "file"
        out.append(("commit", op.replace("+minor", ""), d, layout("commit", d, rng, True), m, f"Update {f}"))
    glo = [p for p in pairs if p["src"] == "glossary"]
    pop = [p for p in pairs if p["src"] == "debian-ask" and p["rep"] > 5]
    rare = [p for p in pairs if p["src"] == "debian-ask" and p["rep"] < 1]
    for name, ps in (("ask/glossary", glo), ("ask/popular packages", pop), ("ask/rare packages", rare)):
        for p in rng.sample(ps, min(n // 3, len(ps))):
            q = question(p, rng, True)
            out.append((name, p["src"], q, layout("ask", q, rng, True), p["answer"], ""))
    for _ in range(n // 3):
        p = invented(rng)
        q = question(p, rng)
        out.append(("ask/invented", "unknown", q, layout("ask", q, rng, True), p["answer"], ""))
    return out


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--work", required=True, type=Path, help="folder of the data (see README.md)")
    ap.add_argument("--server", required=True, help="path of llama-server")
    ap.add_argument("--model", required=True, type=Path, help="GGUF file")
    ap.add_argument("-n", type=int, default=300, help="package descriptions and diffs; half as many documents, a third as many questions of a kind")
    ap.add_argument("--port", type=int, default=18931, help="port for the server")
    ap.add_argument("--out", type=Path, help="also write every case as a JSON line")
    a = ap.parse_args()
    cs = cases(a.work, a.n, random.Random(2))
    s = Server(a.server, a.model, a.port)
    rows, agg = [], {}
    for name, src, text, turns, ref, base in cs:
        hyp = s.complete("<|startoftext|>" + chatml(turns))["content"].strip()
        r = {"set": name, "src": src, "input": text, "ref": ref, "hyp": hyp, "em": hyp == ref, "rouge": rouge_l(hyp, ref), "kw": keyword_f1(hyp, ref),
             "base_rouge": rouge_l(base, ref), "base_kw": keyword_f1(base, ref), "idk": hyp.startswith("I do not know"), "words": len(hyp.split())}
        rows.append(r)
        agg.setdefault(name, []).append(r)
        if name == "commit":
            agg.setdefault("  " + src, []).append(r)
    s.close()
    print(a.model.name)
    for k, v in agg.items():
        m = {f: sum(x[f] for x in v) / len(v) for f in ("em", "rouge", "base_rouge", "kw", "base_kw", "idk", "words")}
        print(f"{k:24s} n {len(v):4d}  exact {m['em']:.3f}  ROUGE-L {m['rouge']:.3f} (baseline {m['base_rouge']:.3f})  keywords {m['kw']:.3f} ({m['base_kw']:.3f})  idk {m['idk']:.3f}  words {m['words']:.1f}")
    if a.out:
        a.out.write_text("\n".join(json.dumps(r) for r in rows))


if __name__ == "__main__":
    main()
