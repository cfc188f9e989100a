#!/usr/bin/env python3
"""Writes a random model of llama's architecture with the matrix shapes of LFM2-2.6B, as f16 and as Q4_K_M.

For speed benchmarks only: programs that do not know LFM2 compute the same products with it. Its text is noise.
Usage: llama_shapes.py --quantize LLAMA_QUANTIZE --out GGUF. Needs gguf and numpy.
"""

import argparse
import subprocess
import sys
import zlib
from pathlib import Path

import gguf
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "models/cub/recipe"))
from gguf_meta import add_vocab  # noqa: E402

WIDTH, FF, HEADS, KV_HEADS, VOCAB, LAYERS = 2048, 10752, 32, 8, 65536, 30
KV_WIDTH = WIDTH // HEADS * KV_HEADS
MATRICES = {
    "attn_q": (WIDTH, WIDTH),
    "attn_k": (KV_WIDTH, WIDTH),
    "attn_v": (KV_WIDTH, WIDTH),
    "attn_output": (WIDTH, WIDTH),
    "ffn_gate": (FF, WIDTH),
    "ffn_up": (FF, WIDTH),
    "ffn_down": (WIDTH, FF),
}


def matrix(name: str, shape: tuple[int, int]) -> np.ndarray:
    """The same numbers in every run. Small enough for activations to keep their size from layer to layer."""
    noise = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    return (noise.standard_normal(shape, dtype=np.float32) * np.float32(0.02)).astype(np.float16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quantize", required=True)
    parser.add_argument("--out", required=True, type=Path)
    given = parser.parse_args()
    full = given.out.with_suffix(".f16.gguf")
    writer = gguf.GGUFWriter(full, "llama")
    writer.add_name("random weights in LFM2-2.6B's shapes")
    writer.add_block_count(LAYERS)
    writer.add_context_length(8192)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(FF)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(VOCAB)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    add_vocab(writer, ROOT / "models/cub/recipe/tok", VOCAB, pre="llama-bpe")
    writer.add_tensor("token_embd.weight", matrix("token_embd", (VOCAB, WIDTH)))
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, dtype=np.float32))
    for layer in range(LAYERS):
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{norm}.weight", np.ones(WIDTH, dtype=np.float32))
        for name, shape in MATRICES.items():
            name = f"blk.{layer}.{name}.weight"
            writer.add_tensor(name, matrix(name, shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part = given.out.with_suffix(".part")
    subprocess.run([given.quantize, full, part, "Q4_K_M"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    part.rename(given.out)
    full.unlink()


if __name__ == "__main__":
    main()
