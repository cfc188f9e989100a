"""Last stage, on a CPU core: faithful (extractive) summaries, more question wordings, how-to answers.

About 2.5M tokens, one thread, bf16 autocast, AdamW; loss on assistant tokens only.
With --teacher the model (the draft) also follows the teacher's distribution.
"""
import argparse, json, math, random, re, time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

import diffs
from build_data import documents
from extract import covered, lead, target
from model import CONFIGS, LFM2
from pairs import STOP, invented, question, vary
from prompts import chatml, layout


def clean_prose(t):
    w = re.findall(r"[a-z]+", t.lower())
    return (sum(x in STOP for x in w) > 0.2 * len(w) and sum(c.isalpha() or c == " " for c in t) > 0.93 * len(t) and re.match(r"[A-Z][a-z]", t) and not re.search(r"[{}<>|=_@#\\]|::|\(\)|```", t)
            and not re.match(r"(This|These|It|They|However|For example|Note|In this|But|And|Also|Thus|So|Then|If|That|See|Here|Such|Therefore|You)\b", t))


def samples(work, rng, n):
    """-> list of (task, chat text)"""
    P = [json.loads(l) for l in open(work / "pairs.jsonl")]
    P = [p for p in P if not p["held"]]
    rng.shuffle(P)
    by = {}
    for p in P:
        by.setdefault(p["src"], []).append(p)
    out = []

    def add_sum(text, ans):
        if len(ans.split()) >= 3 and len(ans) < 160:
            out.append(("summarize", chatml(layout("summarize", text, rng), ans)))

    k = 0
    for p in by["debian"]:
        if k >= n * 0.32:
            break
        t = vary(p, rng)
        if len(t) > 800 and rng.random() > .06:
            continue
        add_sum(t[:4000], target(t, p["answer"]))
        k += 1
    k = 0
    for p in by["section"] + by["extract"]:
        if k >= n * 0.15:
            break
        s = re.split(r"(?<=[.!?])\s+(?=[A-Z])", p["input"])
        t = " ".join(s[:rng.choice([2, 3, 4, 6])])
        if len(t) < 100 or len(t) > 900 or not clean_prose(t):
            continue
        add_sum(t, lead(t))
        k += 1
    k = 0
    for p in by["man"] + by["rs-doc"] + by["py-doc"] + by["page"] + by["readme"] * 2 + by["rs-code"] + by["py-code"]:
        if len(p["input"]) < 1200 and rng.random() < .35 and covered(p["answer"], p["input"]) == 1.0 and k < n * 0.06:
            add_sum(p["input"], p["answer"])
            k += 1
    v, tr, _ = diffs.load(work / "code.json")
    for (_, d, m), _ in zip(diffs.generate(v, tr, rng), range(int(n * 0.15))):
        if len(d) < 2200:
            out.append(("commit", chatml(layout("commit", d, rng), m)))

    def add_ask(p):
        out.append(("ask", chatml(layout("ask", question(p, rng), rng), p["answer"])))

    here = Path(__file__).resolve().parent
    how = [{"task": "howto", "input": a, "answer": b} for a, b in (l.rstrip("\n").split("\t") for l in open(here / "howto.tsv"))]
    for _ in range(int(n * 0.05)):
        add_ask(rng.choice(how))
    for _ in range(int(n * 0.12)):
        add_ask(rng.choice(by["glossary"]))
    pop = [p for p in by["debian-ask"] if p["rep"] > 4] + by["man-ask"] + by["crate-ask"]
    for _ in range(int(n * 0.06)):
        add_ask(rng.choice(pop))
    for _ in range(int(n * 0.03)):
        add_ask(rng.choice(by["debian-ask"] + by["foldoc-ask"]))
    for _ in range(int(n * 0.025)):
        add_ask(invented(rng))
        add_ask(rng.choice(by["chat"] + by["out-of-scope"]))
    docs = documents(work)
    for _ in range(int(n * 0.01)):
        d = rng.choice(docs)
        i = rng.randrange(max(1, len(d) - 900))
        out.append(("text", d[i:i + 900]))
    rng.shuffle(out)
    return out


def batches(tok, data, budget, rng):
    """Length-sorted batches of about `budget` tokens: ids, loss mask."""
    enc = []
    for task, t in data:
        ids = np.array([1] + tok.encode(t, add_special_tokens=False).ids)
        m = np.zeros(len(ids), bool)
        if task == "text":
            m[1:] = True
        else:
            i, j = int(np.flatnonzero(ids == 6)[-1]), int(np.flatnonzero(ids == 7)[-1])
            hdr = len(tok.encode("<|im_start|>assistant\n", add_special_tokens=False).ids)
            m[i + hdr:j + 1] = True
        enc.append((ids, m))
    out = []
    for c in range(0, len(enc), 480):
        ch = sorted(enc[c:c + 480], key=lambda e: len(e[0]))
        cur, size, group = [], 0, []
        for e in ch:
            size = len(e[0]) * (len(cur) + 1)
            if cur and size > budget:
                group.append(cur)
                cur = []
            cur.append(e)
        group.append(cur)
        rng.shuffle(group)
        out += group
    for g in out:
        T = max(len(i) for i, _ in g)
        ids = torch.zeros(len(g), T, dtype=torch.long)
        m = torch.zeros(len(g), T, dtype=torch.bool)
        for k, (i, w) in enumerate(g):
            ids[k, :len(i)] = torch.from_numpy(i)
            m[k, :len(i)] = torch.from_numpy(w)
        yield ids, m


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--work", required=True, type=Path, help="folder of the data (see README.md)")
    ap.add_argument("--init", required=True, type=Path, help="checkpoint of train.py")
    ap.add_argument("--out", required=True, type=Path, help="checkpoint to write")
    ap.add_argument("--config", choices=CONFIGS, default="cub", help="shape of the model")
    ap.add_argument("--teacher", type=Path, help="checkpoint to distil from")
    ap.add_argument("--minutes", type=float, default=33, help="training time")
    ap.add_argument("--lr", type=float, default=3e-4, help="peak learning rate")
    ap.add_argument("--n", type=int, default=17_000, help="samples")
    ap.add_argument("--budget", type=int, default=2048, help="tokens per step")
    ap.add_argument("--seed", type=int, default=21, help="choice and order of the samples")
    a = ap.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rng = random.Random(a.seed)
    tok = Tokenizer.from_file(str(a.work / "tok/tokenizer.json"))
    data = samples(a.work, rng, a.n)
    bs = list(batches(tok, data, a.budget, rng))
    n_tok = sum(int((i > 0).sum()) for i, _ in bs)
    print("samples", len(data), "batches", len(bs), "tokens", n_tok, flush=True)

    def load(path, config):
        m = LFM2(CONFIGS[config])
        m.load_state_dict({k: v.float() for k, v in torch.load(path, map_location="cpu").items()})
        m.act = torch.bfloat16
        return m
    m = load(a.init, a.config)
    teacher = load(a.teacher, "cub").eval() if a.teacher else None
    opt = torch.optim.AdamW(m.parameters(), lr=a.lr, betas=(0.9, 0.98), weight_decay=0.0)
    t0, seen, run = time.time(), 0, []
    for step, (ids, w) in enumerate(bs):
        p = max((time.time() - t0) / (60 * a.minutes), step / len(bs))
        if p >= 1:
            break
        lr = a.lr * min(1, (step + 1) / 40) * (0.5 * (1 + math.cos(math.pi * p)) * 0.97 + 0.03)
        for g in opt.param_groups:
            g["lr"] = lr
        T = ids.shape[1] - 1
        mask = torch.ones(T, T, dtype=torch.bool).tril()[None, None]
        sel = w[:, 1:]
        x, doc = ids[:, :-1], torch.zeros_like(ids[:, :-1])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            lg = m.logits(m(x, doc, mask=mask)[sel]).float()
            if teacher is not None:
                with torch.no_grad():
                    tp = F.softmax(teacher.logits(teacher(x, doc, mask=mask)[sel]).float(), -1)
        loss = F.cross_entropy(lg, ids[:, 1:][sel])
        run.append(loss.item())
        if teacher is not None:
            loss = 0.2 * loss + 0.8 * -(tp * F.log_softmax(lg, -1)).sum(-1).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(m.parameters(), 1.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
        seen += int((ids > 0).sum())
        if (step + 1) % 50 == 0:
            print(f"step {step + 1} p {p:.3f} loss {sum(run[-50:]) / 50:.4f} lr {lr:.1e} {seen / (time.time() - t0):.0f} tok/s", flush=True)
    a.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(m.state_dict(), a.out)
    print("done", step + 1, "steps", seen, "tokens", round((time.time() - t0) / 60, 1), "minutes")


if __name__ == "__main__":
    main()
