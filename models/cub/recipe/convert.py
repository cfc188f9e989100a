"""Checkpoint -> transformers folder -> GGUF (f32 or f16), written with gguf-py.

The tensors and keys equal those of llama.cpp's convert_hf_to_gguf.py for Lfm2ForCausalLM;
writing them here avoids that script's check of the tokenizer against a list of known hashes.
"""
import argparse
from pathlib import Path

import gguf
import numpy as np
import torch

from gguf_meta import add_params, add_vocab
from model import CONFIGS, LFM2, export_hf

NAMES = {"operator_norm": "attn_norm", "ffn_norm": "ffn_norm", "feed_forward.w1": "ffn_gate", "feed_forward.w3": "ffn_up", "feed_forward.w2": "ffn_down",
         "conv.in_proj": "shortconv.in_proj", "conv.out_proj": "shortconv.out_proj", "conv.conv": "shortconv.conv", "self_attn.q_proj": "attn_q",
         "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.out_proj": "attn_output", "self_attn.q_layernorm": "attn_q_norm",
         "self_attn.k_layernorm": "attn_k_norm"}


def gguf_name(n):
    if n == "model.embed_tokens.weight":
        return "token_embd.weight"
    if n == "model.embedding_norm.weight":
        return "token_embd_norm.weight"
    _, _, i, rest = n.split(".", 3)
    return f"blk.{i}.{NAMES[rest.removesuffix('.weight')]}.weight"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--ckpt", required=True, type=Path, help="checkpoint of train.py or finetune.py")
    ap.add_argument("--config", choices=CONFIGS, default="cub", help="shape of the model")
    ap.add_argument("--tok", required=True, type=Path, help="tokenizer folder")
    ap.add_argument("--hf", type=Path, help="also write a transformers folder")
    ap.add_argument("--out", required=True, type=Path, help="GGUF file to write")
    ap.add_argument("--type", choices=["f32", "f16"], default="f32", help="of the matrices")
    a = ap.parse_args()
    cfg = CONFIGS[a.config]
    sd = torch.load(a.ckpt, map_location="cpu")
    m = LFM2(cfg)
    m.load_state_dict({k: v.float() for k, v in sd.items()})
    if a.hf:
        export_hf(m.state_dict(), cfg, a.tok, a.hf)
    name = "cub" if a.config == "cub" else "cub-draft"
    w = gguf.GGUFWriter(str(a.out), "lfm2")
    add_params(w, name, cfg.ctx, cfg.d, cfg.ff, cfg.layers, cfg.heads, cfg.kv, cfg.vocab,
               desc=f"{name}: a tiny LFM2-architecture demo model ({sum(p.numel() for p in m.parameters()) / 1e6:.1f}M parameters), trained from scratch")
    w.add_size_label(f"{round(sum(p.numel() for p in m.parameters()) / 1e6)}M")
    w.add_quantization_version(2)
    w.add_sampling_temp(0.0)                          # greedy by default: the model is too small to sample from
    w.add_file_type(gguf.LlamaFileType.ALL_F32 if a.type == "f32" else gguf.LlamaFileType.MOSTLY_F16)
    add_vocab(w, a.tok)
    for n, t in m.state_dict().items():
        x = t.float().numpy()
        if "conv.conv" in n:
            x = x[:, 0]
        half = a.type == "f16" and x.ndim == 2 and "conv.conv" not in n
        w.add_tensor(gguf_name(n), x.astype(np.float16) if half else x)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


if __name__ == "__main__":
    main()
