"""Blow cub (or cub-draft) up to the exact tensor shapes of a published LFM2 model without changing what it computes.

For speed benchmarks only: the file costs the memory traffic and arithmetic of the large model,
and it generates the small model's text (up to quantization), so token acceptance is realistic.

With n = small width, N = large width, s = sqrt(N / n) (2 for both pairs here):
- The residual stream holds s*x in its first n places, so RMS norms see the same mean square;
  embeddings and output projections are multiplied by s, norm weights divided by s (the last by s*s).
- Every matrix is [[W, R], [0, R]]: columns that only ever see zeros are filled with random values R,
  rows below W are zero in W's columns, so added channels, heads and neurons stay exactly zero.
- Small layers sit at the first layers of their kind; the other layers are random except for zero
  output projections, so they add nothing.
- Dummy vocabulary entries get a logit near -60 through one constant residual place (value C, far
  below the norm's epsilon in effect) whose weight is zero in every norm but the last.
"""
import argparse, math, os, subprocess, zlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gguf
import numpy as np

from gguf_meta import add_params, add_vocab

SHAPES = {  # published configurations
    "2.6b": dict(d=2048, ff=10752, heads=32, kv=8, vocab=65536, ctx=128000, layers="ccaccacccacccacccacccaccaccacc"),
    "1.2b": dict(d=2048, ff=8192, heads=32, kv=8, vocab=65536, ctx=128000, layers="ccaccaccacacacac"),
    "350m": dict(d=1024, ff=4608, heads=16, kv=8, vocab=65536, ctx=128000, layers="ccaccaccacacacac"),
}
C, PUSH = 0.01, 60.0


def rand(name, shape, std=0.02, seed=0):
    g = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()) + seed))
    return g.standard_normal(shape, dtype=np.float32) * np.float32(std)


def block(name, shape, w, chunks=1, scale=1.0, seed=0):
    """[[w, random], [0, random]] in each of the row chunks."""
    out = rand(name, shape, seed=seed)
    R, r, c = shape[0] // chunks, w.shape[0] // chunks, w.shape[1]
    for k in range(chunks):
        out[k * R:(k + 1) * R, :c] = 0
        out[k * R:k * R + r, :c] = w[k * r:(k + 1) * r] * np.float32(scale)
    return out


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--src", required=True, type=Path, help="small model, GGUF of any type")
    ap.add_argument("--tok", required=True, type=Path, help="tokenizer folder")
    ap.add_argument("--shape", choices=SHAPES, required=True, help="published model to imitate")
    ap.add_argument("--out", required=True, type=Path, help="GGUF file to write")
    ap.add_argument("--quantize", help="path of llama-quantize; without it the f16 file is the result")
    ap.add_argument("--type", default="Q4_K_M", help="quantization")
    ap.add_argument("--threads", default="1", help="for the quantization")
    ap.add_argument("--jobs", type=int, default=1, help="tensors that are filled at once; the file is the same for any number")
    ap.add_argument("--keep-f16", action="store_true", help="keep the file before quantization")
    ap.add_argument("--final-rms", type=float, default=60.0, help="upper range of the small model's last residual RMS; scales the dummy entries' logit")
    ap.add_argument("--seed", type=int, default=0, help="of the random filling")
    a = ap.parse_args()
    S = SHAPES[a.shape]
    N, K, seed = S["d"], S["layers"], a.seed
    rd = gguf.GGUFReader(str(a.src))
    src = {t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32) for t in rd.tensors}
    emb = src["token_embd.weight"]
    n_vocab, n = emb.shape
    s = math.sqrt(N / n)
    assert s == int(s), "the width ratio must be a square so that scaling is exact"
    small = ["a" if f"blk.{i}.attn_q.weight" in src else "c" for i in range(1 + max(int(k.split(".")[1]) for k in src if k.startswith("blk.")))]
    place, j = {}, 0
    for i, k in enumerate(K):
        if j < len(small) and small[j] == k:
            place[i] = j
            j += 1
    assert j == len(small), "layer kinds do not fit in order"
    heads, kv = (src[f"blk.{small.index('a')}.attn_{x}.weight"].shape[0] // 64 for x in "qk")
    assert heads // kv == S["heads"] // S["kv"], "attention group sizes differ"
    print("layers", {i: place[i] for i in place}, "scale", s)

    def norm(w, div, const=0.0):
        out = np.ones(N, dtype=np.float32)
        out[n] = const
        out[:n] = w / np.float32(div)
        return out

    def tensors():
        """name -> builder, in file order"""
        def embd():
            e = rand("embd", (S["vocab"], N), seed=seed)
            e[:, n] = -1.0
            e[:n_vocab] = 0
            e[:n_vocab, :n] = emb * np.float32(s)
            e[:n_vocab, n] = C
            return e
        yield "token_embd.weight", (S["vocab"], N), embd
        yield "token_embd_norm.weight", (N,), lambda: norm(src["token_embd_norm.weight"], s * s, PUSH * a.final_rms / C)
        for i, kind in enumerate(K):
            p = f"blk.{i}."
            q = f"blk.{place[i]}." if i in place else None

            def mat(name, shape, chunks=1, scale=1.0, outproj=False, p=p, q=q):
                if q:
                    return lambda: block(p + name, shape, src[q + name], chunks, scale, seed)
                return (lambda: np.zeros(shape, dtype=np.float32)) if outproj else (lambda: rand(p + name, shape, seed=seed))

            def vec(name, q=q):
                return (lambda: norm(src[q + name], s)) if q else (lambda: norm(np.ones(n, dtype=np.float32), s))
            yield p + "attn_norm.weight", (N,), vec("attn_norm.weight")
            yield p + "ffn_norm.weight", (N,), vec("ffn_norm.weight")
            yield p + "ffn_gate.weight", (S["ff"], N), mat("ffn_gate.weight", (S["ff"], N))
            yield p + "ffn_up.weight", (S["ff"], N), mat("ffn_up.weight", (S["ff"], N))
            yield p + "ffn_down.weight", (N, S["ff"]), mat("ffn_down.weight", (N, S["ff"]), scale=s, outproj=True)
            if kind == "a":
                for x, rows in (("q", S["heads"] * 64), ("k", S["kv"] * 64), ("v", S["kv"] * 64)):
                    yield f"{p}attn_{x}.weight", (rows, N), mat(f"attn_{x}.weight", (rows, N))
                yield p + "attn_output.weight", (N, N), mat("attn_output.weight", (N, N), scale=s, outproj=True)
                for x in "qk":
                    yield f"{p}attn_{x}_norm.weight", (64,), (lambda x=x, q=q: src[f"{q}attn_{x}_norm.weight"] if q else np.ones(64, dtype=np.float32))
            else:
                yield p + "shortconv.in_proj.weight", (3 * N, N), mat("shortconv.in_proj.weight", (3 * N, N), chunks=3)
                yield p + "shortconv.out_proj.weight", (N, N), mat("shortconv.out_proj.weight", (N, N), scale=s, outproj=True)

                def kernel(p=p, q=q):
                    w = rand(p + "kernel", (N, 3), 0.3, seed)
                    if q:
                        w[:n] = src[q + "shortconv.conv.weight"].reshape(n, 3)
                    return w
                yield p + "shortconv.conv.weight", (N, 3), kernel

    half = lambda name, shape: len(shape) == 2 and "shortconv.conv" not in name
    f16 = a.out.with_suffix(".f16.gguf") if a.quantize else a.out
    w = gguf.GGUFWriter(str(f16), "lfm2")
    add_params(w, f"cub inflated to LFM2-{a.shape} shapes", S["ctx"], N, S["ff"], K, S["heads"], S["kv"], S["vocab"],
               desc="benchmark file: computes a tiny model at the cost of a large one")
    w.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    add_vocab(w, a.tok, S["vocab"])
    total = 0
    for name, shape, _ in tensors():
        dt = np.dtype(np.float16 if half(name, shape) else np.float32)
        w.add_tensor_info(name, shape, dt, math.prod(shape) * dt.itemsize)
        total += math.prod(shape)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_ti_data_to_file()

    def data(name, shape, build):
        x = build()
        assert x.shape == tuple(shape), (name, x.shape, shape)
        return x.astype(np.float16) if half(name, shape) else x
    # Each tensor has a generator of its own, so they can be filled in any order; they are written in that of the file.
    with ThreadPoolExecutor(a.jobs) as pool:
        ahead = deque()
        for tensor in tensors():
            ahead.append(pool.submit(data, *tensor))
            if len(ahead) > a.jobs:
                w.write_tensor_data(ahead.popleft().result())
        while ahead:
            w.write_tensor_data(ahead.popleft().result())
    w.close()
    print("parameters", total, "f16 bytes", os.path.getsize(f16))
    if a.quantize:
        subprocess.run([a.quantize, str(f16), str(a.out), a.type, a.threads], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if not a.keep_f16:
            f16.unlink()
        print("quantized bytes", os.path.getsize(a.out))


if __name__ == "__main__":
    main()
