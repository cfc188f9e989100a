"""Greedy speculative acceptance of a draft model, measured on held-out prompts.

The target writes its greedy answers (llama-server); the draft then predicts every token of those
answers from the same prefix.  A draft run of length k is accepted up to its first wrong token, so the
agreement vector gives acceptance and tokens per target step for any k exactly.
"""
import argparse, random
from pathlib import Path

import torch
from tokenizers import Tokenizer

from eval_loss import load_gguf
from evaluate import Server, cases
from prompts import chatml


def simulate(agree, k):
    """-> drafted, accepted, target steps for one answer"""
    i = drafted = accepted = steps = 0
    while i < len(agree):
        m = min(k, len(agree) - i)
        a = 0
        while a < m and agree[i + a]:
            a += 1
        drafted, accepted, steps = drafted + m, accepted + a, steps + 1
        i += a + 1
    return drafted, accepted, steps


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--work", required=True, type=Path, help="folder of the data (see README.md)")
    ap.add_argument("--server", required=True, help="path of llama-server")
    ap.add_argument("--model", required=True, type=Path, help="GGUF of the target")
    ap.add_argument("--draft", required=True, type=Path, nargs="+", help="GGUF files of drafts")
    ap.add_argument("-n", type=int, default=90, help="size of the sets, as in evaluate.py")
    ap.add_argument("--port", type=int, default=18933, help="port for the server")
    a = ap.parse_args()
    torch.set_num_threads(1)
    tok = Tokenizer.from_file(str(a.work / "tok/tokenizer.json"))
    cs = cases(a.work, a.n, random.Random(5))
    for t in ["The Linux kernel", "To install the package,", "A linked list is", "This function returns", "The following example shows how to",
                           "When the server receives a request,", "Files in this directory", "The configuration file"]:
        cs.append(("continuation", "", t, None, "", ""))
    s = Server(a.server, a.model, a.port)
    seqs = []
    for name, _, text, turns, _, _ in cs:
        prompt = "<|startoftext|>" + (chatml(turns) if turns else text)
        r = s.complete(prompt, 64 if turns else 120, return_tokens=True)
        ids = tok.encode(prompt, add_special_tokens=False).ids
        out = r["tokens"] + ([7] if turns and r.get("stop_type") == "eos" else [])
        seqs.append((name.split("/")[0], ids, out))
    s.close()
    for f in a.draft:
        m = load_gguf(f, "draft")
        agg = {}
        with torch.no_grad():
            for name, ids, out in seqs:
                x = torch.tensor([ids + out])
                pred = m.logits(m(x, torch.zeros_like(x)))[0].argmax(-1)
                agree = (pred[len(ids) - 1:-1] == x[0, len(ids):]).tolist()
                for key in (name, "all"):
                    d = agg.setdefault(key, {"tok": 0, "agree": 0, 4: [0, 0, 0], 8: [0, 0, 0]})
                    d["tok"] += len(agree)
                    d["agree"] += sum(agree)
                    for k in (4, 8):
                        d[k] = [p + q for p, q in zip(d[k], simulate(agree, k))]
        print(f.name)
        for k, d in agg.items():
            print(f"  {k:14s} tokens {d['tok']:6d}  per-token agreement {d['agree'] / d['tok']:.3f}" + "".join(
                f"  | k={q}: accepted {d[q][1] / d[q][0]:.3f} of drafted, {d['tok'] / d[q][2]:.2f} tokens per target step" for q in (4, 8)))


if __name__ == "__main__":
    main()
