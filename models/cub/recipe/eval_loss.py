"""Held-out loss (nats per token) of GGUF files: weights are dequantized with gguf-py and run in PyTorch.

Chat sets count assistant tokens only; "text" is held-out documentation.  Prints one line per file.
"""
import argparse, json, random
from pathlib import Path

import gguf
import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

import build_data
from convert import gguf_name
from model import CONFIGS, LFM2
from pairs import frac
from train import unpack


def load_gguf(path, config):
    r = gguf.GGUFReader(str(path))
    t = {x.name: x for x in r.tensors}
    m = LFM2(CONFIGS[config]).eval()
    sd = {}
    for n, p in m.state_dict().items():
        x = t[gguf_name(n)]
        a = gguf.quants.dequantize(np.array(x.data), x.tensor_type)
        sd[n] = torch.from_numpy(np.ascontiguousarray(a, dtype=np.float32)).reshape(p.shape)
    m.load_state_dict(sd)
    return m


def val_rows(work, tok):
    """Build (once) the held-out rows."""
    out = work / "val"
    out.mkdir(exist_ok=True)
    if not (out / "val_text.npy").exists():
        build_data.work(("val", 0, 1, work, out, 0, 0, (1, 1)))
        docs = [d for d in build_data.documents(work) if frac("val:" + d[:200]) < 0.004]
        random.Random(1).shuffle(docs)
        ids = [np.concatenate([[1], e, [2]]).astype(np.uint16) | build_data.LOSS for e in build_data.encode(tok, docs)]
        flat = np.concatenate(ids)
        n = len(flat) // 4097
        np.save(out / "val_text.npy", flat[:n * 4097].reshape(n, 4097))
    return {k: torch.from_numpy(np.load(out / f"val_{k}.npy").view(np.int16)) for k in ("summarize", "commit", "ask", "text")}


@torch.no_grad()
def losses(m, vals, rows):
    res = {}
    for k, v in vals.items():
        s = n = 0.0
        for i in range(min(rows, len(v))):
            ids, tgt, w, doc = unpack(v[i:i + 1], 1.0)
            h = m(ids, doc)
            sel = w[0] > 0
            ce = F.cross_entropy(m.logits(h[0, sel]), tgt[0, sel], reduction="sum")
            s += ce.item()
            n += sel.sum().item()
        res[k] = round(s / n, 4)
    return res


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--work", required=True, type=Path, help="folder of the data (see README.md)")
    ap.add_argument("--config", choices=CONFIGS, default="cub", help="shape of the model")
    ap.add_argument("--rows", type=int, default=6, help="rows of 4,096 tokens of each set")
    ap.add_argument("files", nargs="+", type=Path, help="GGUF files")
    a = ap.parse_args()
    torch.set_num_threads(1)
    vals = val_rows(a.work, Tokenizer.from_file(str(a.work / "tok/tokenizer.json")))
    for f in a.files:
        r = losses(load_gguf(f, a.config), vals, a.rows)
        print(f"{f.name:28s} {f.stat().st_size / 2 ** 20:7.2f} MiB", json.dumps(r), flush=True)


if __name__ == "__main__":
    main()
