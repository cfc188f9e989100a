"""Train cub's byte-level BPE (8192 entries) with LFM2's pre-tokenizer and special tokens.

Writes WORK/tok/: tokenizer.json, tokenizer_config.json, chat_template.jinja.
"""
import argparse, json, random
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

SPECIAL = ["<|pad|>", "<|startoftext|>", "<|endoftext|>", "<|fim_pre|>", "<|fim_mid|>", "<|fim_suf|>", "<|im_start|>", "<|im_end|>"]
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
CHAT_TEMPLATE = (
    "{{- bos_token -}}"
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}")


def texts(work, budget, rng):
    """A sample of all text kinds; diffs and pairs are weighted up."""
    for name, share in (("corpus", .5), ("debian_text", .15), ("diffs", .15), ("pairs", .2)):
        left = budget * share
        lines = open(work / f"{name}.jsonl").readlines()
        rng.shuffle(lines)
        for l in lines:
            d = json.loads(l)
            t = d.get("text") or (d.get("input", "") + "\n" + d["answer"])
            t = t[:20_000]
            left -= len(t)
            yield t
            if left < 0:
                break


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--work", required=True, type=Path, help="folder of the data (see README.md)")
    ap.add_argument("--vocab", type=int, default=8192, help="entries")
    ap.add_argument("--budget", type=float, default=60e6, help="characters to learn from")
    a = ap.parse_args()
    tok = Tokenizer(models.BPE(ignore_merges=True))
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()
    tr = trainers.BpeTrainer(vocab_size=a.vocab, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), min_frequency=2, max_token_length=16, show_progress=False)
    tok.train_from_iterator(texts(a.work, a.budget, random.Random(0)), tr)
    b = tok.token_to_id("<|startoftext|>")
    assert [tok.token_to_id(s) for s in SPECIAL] == list(range(8))
    tok.post_processor = processors.TemplateProcessing(single="<|startoftext|> $A", pair="<|startoftext|> $A $B", special_tokens=[("<|startoftext|>", b)])
    out = a.work / "tok"
    out.mkdir(exist_ok=True)
    tok.save(str(out / "tokenizer.json"))
    (out / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|startoftext|>", "eos_token": "<|im_end|>", "pad_token": "<|pad|>",
        "model_max_length": 4096, "clean_up_tokenization_spaces": False, "chat_template": CHAT_TEMPLATE}, indent=1))
    (out / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    print("vocab", tok.get_vocab_size())


if __name__ == "__main__":
    main()
