"""Tokenize and pack: documents into pre_*.npy, chat samples into sft_*.npy, held-out samples into val_*.npy.

Rows hold T+1 token ids as uint16; bit 15 marks tokens that carry loss, bit 14 chat samples.
Every shard draws fresh instruction wordings, fresh invented names and fresh diffs.
"""
import argparse, json, random, time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

import diffs
from pairs import frac, invented, question, vary
from prompts import chatml, layout

LOSS, CHAT = 0x8000, 0x4000
T = 4096


def documents(work):
    """All documents, package descriptions included."""
    return [json.loads(l)["text"] for name in ("corpus", "debian_text") for l in open(work / f"{name}.jsonl")]


def encode(tok, texts):
    return [np.array(e.ids, dtype=np.uint16) for e in tok.encode_batch(texts, add_special_tokens=False)]


def mark(ids, header):
    """Set the loss bit on the (last) assistant turn of a chat sample, <|im_end|> included."""
    out = ids | CHAT
    i = int(np.flatnonzero(ids == 6)[-1]) + len(header)
    j = int(np.flatnonzero(ids == 7)[-1])
    out[i:j + 1] |= LOSS
    return out


def pack(samples, length=T + 1, open_rows=24):
    rows, cur = [], []                      # cur: list of [used, [arrays]]
    for s in samples:
        if len(s) > length:
            continue
        best = None
        for r in cur:
            if r[0] + len(s) <= length and (best is None or r[0] > best[0]):
                best = r
        if best is None:
            if len(cur) >= open_rows:
                k = max(range(len(cur)), key=lambda i: cur[i][0])
                rows.append(cur.pop(k))
            best = [0, []]
            cur.append(best)
        best[0] += len(s)
        best[1].append(s)
    rows += cur
    out = np.zeros((len(rows), length), dtype=np.uint16)
    for i, (n, a) in enumerate(rows):
        out[i, :n] = np.concatenate(a)
    return out


def sft_texts(pairs, v, files, rng, n_diffs, n_unknown, held_out=False, scale=(1.0, 1.0)):
    """-> (task, chat text) in random order"""
    out = []
    for p in pairs:
        rep = p.get("rep", 1.0) * scale[p["task"] != "summarize"]
        for _ in range(int(rep) + (rng.random() < rep % 1)):
            if p["task"] == "summarize":
                out.append(("summarize", chatml(layout("summarize", vary(p, rng), rng, held_out), p["answer"])))
            else:
                out.append(("ask", chatml(layout("ask", question(p, rng, held_out), rng, held_out), p["answer"])))
    for _ in range(n_unknown):
        p = invented(rng)
        out.append(("ask", chatml(layout("ask", question(p, rng), rng), p["answer"])))
    for (_, d, m), _ in zip(diffs.generate(v, files, rng), range(n_diffs)):
        out.append(("commit", chatml(layout("commit", d, rng, held_out), m)))
    rng.shuffle(out)
    return out


def work(job):
    kind, i, n, data, out, n_diffs, n_unknown, scale = job
    t0 = time.time()
    tok = Tokenizer.from_file(str(data / "tok/tokenizer.json"))
    rng = random.Random(1000 + i)
    bos, eos = 1, 2
    if kind == "pre":
        mine = [d for k, d in enumerate(documents(data)) if k % n == i]
        v, tr, _ = diffs.load(data / "code.json")
        val = [d for d in mine if frac("val:" + d[:200]) < 0.004]
        mine = [d for d in mine if frac("val:" + d[:200]) >= 0.004]
        for (_, d, m), _ in zip(diffs.generate(v, tr, rng), range(15_000 // n)):
            mine.append(d if rng.random() < .6 else f"{m}\n\n{d}" if rng.random() < .5 else f"Subject: {m}\n\n{d}")
        rng.shuffle(mine)
        for name, ds in (("pre", mine), ("preval", val)):
            ids = []
            for k in range(0, len(ds), 256):
                for e in encode(tok, ds[k:k + 256]):
                    ids.append(np.concatenate([[bos], e, [eos]]).astype(np.uint16) | LOSS)
            flat = np.concatenate(ids)
            flat = flat[:len(flat) // (T + 1) * (T + 1)].reshape(-1, T + 1)
            np.save(out / f"tmp_{name}_{i:02d}.npy", flat)
            (out / f"tmp_{name}_{i:02d}.npy").rename(out / f"{name}_{i:02d}.npy")
        return kind, i, flat.shape, time.time() - t0
    pairs = [json.loads(l) for l in open(data / "pairs.jsonl")]
    v, tr, he = diffs.load(data / "code.json")
    header = tok.encode("<|im_start|>assistant\n", add_special_tokens=False).ids
    if kind == "sft":
        tx = sft_texts([p for p in pairs if not p["held"]], v, tr, rng, n_diffs, n_unknown, scale=scale)
        rows = pack(mark(e, header) for k in range(0, len(tx), 1024) for e in encode(tok, ["<|startoftext|>" + t for _, t in tx[k:k + 1024]]))
        rng2 = np.random.default_rng(i)
        rng2.shuffle(rows)
        np.save(out / f"tmp_sft_{i:02d}.npy", rows)
        (out / f"tmp_sft_{i:02d}.npy").rename(out / f"sft_{i:02d}.npy")
        return kind, i, rows.shape, float((rows == 0).mean()), time.time() - t0
    hp = [dict(p, rep=1.0) for p in pairs if p["held"]]
    known = [dict(p, rep=1.0) for p in pairs if p["src"] == "glossary"] + [dict(p, rep=1.0) for p in pairs if p["src"] == "debian-ask" and p["rep"] > 5][:500]
    sets = {"summarize": (hp, 0, False), "commit": ([], 600, False), "ask": (known, 0, True)}
    for name, (ps, nd, ho) in sets.items():
        tx = [(t, s) for t, s in sft_texts([p for p in ps if p["task"].startswith(name)], v, he, random.Random(5), nd, 0, ho) if t == name]
        rows = pack(mark(e, header) for e in encode(tok, ["<|startoftext|>" + s for _, s in tx[:700]]))
        np.save(out / f"val_{name}.npy", rows)
    return kind, i, time.time() - t0


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--work", required=True, type=Path, help="folder of the data (see README.md)")
    ap.add_argument("--out", required=True, type=Path, help="folder for the rows")
    ap.add_argument("--pre", type=int, default=12, help="document shards")
    ap.add_argument("--sft", type=int, default=16, help="chat shards")
    ap.add_argument("--diffs", type=int, default=26_000, help="diffs per chat shard")
    ap.add_argument("--unknown", type=int, default=2000, help="invented names per chat shard")
    ap.add_argument("--scale", default="0.2,0.37", help="summarize and ask repetitions per chat shard")
    ap.add_argument("--jobs", type=int, default=16, help="processes")
    a = ap.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    t0 = time.time()
    rest = (a.work, a.out, a.diffs, a.unknown, tuple(map(float, a.scale.split(","))))
    jobs = [("sft", i, a.sft, *rest) for i in range(a.sft)] + [("pre", i, a.pre, *rest) for i in range(a.pre)] + [("val", 0, 1, *rest)]
    with ProcessPoolExecutor(a.jobs) as ex:
        for r in ex.map(work, jobs):
            print(*r, flush=True)
    print("done", round(time.time() - t0, 1), flush=True)


if __name__ == "__main__":
    main()
