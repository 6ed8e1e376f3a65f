"""Tiny random models, tokenizers and adapters, built in a folder of the test's own."""

import json
from pathlib import Path
from typing import Any

SPECIALS = ["<|pad|>", "<|bos|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"]

CHAT = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}<|end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)

LLAMA_2 = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ bos_token + '[INST] '"
    " + m['content'].strip() + ' [/INST]' }}{% else %}{{ ' ' + m['content'].strip() + ' '"
    " + eos_token }}{% endif %}{% endfor %}"
)

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>'"
    " + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

LLAMA_3 = (
    "{% for m in messages %}{% set content = '<|start_header_id|>' + m['role'] +"
    " '<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
    "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
    "{% endif %}"
)

TRIMMING = (
    "{{ bos_token }}{% for m in messages %}{{ m['role'] | upper }}: {{ m['content'] | trim }}\n"
    "{% endfor %}{% if add_generation_prompt %}ASSISTANT: {% endif %}"
)

TEMPLATES = {
    "own": CHAT,
    "llama-2": LLAMA_2,
    "chatml": CHATML,
    "llama-3": LLAMA_3,
    "trimming": TRIMMING,
}

_CORPUS = [
    "Rate how well the response answers the instruction, from 1 to 5.",
    "Score: 1 Score: 2 Score: 3 Score: 4 Score: 5",
    "How do I bake a loaf of bread? Mix flour, water, salt and yeast, and wait.",
    "The user and the assistant speak in turns; the system speaks first.",
]


def tokenizer(
    template: str | None = CHAT, *, joins_space: bool = False, added: tuple[str, ...] = ()
) -> Any:
    """Build a byte-level BPE; `joins_space` lets " 1" become one token, as GPT-2's does."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    digit = " ?[0-9]" if joins_space else "[0-9]"
    pattern = Regex(digit + r"| ?[a-zA-Z]+| ?[^\sa-zA-Z0-9]+|\s+(?!\S)|\s+")
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(pattern, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_CORPUS * 50, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<|bos|>",
        eos_token="<|end|>",
        pad_token="<|pad|>",
        additional_special_tokens=SPECIALS[2:5],
    )
    if template and template != CHAT:
        names = ("<|im_start|>", "<|im_end|>", "<|eot_id|>", "<|start_header_id|>")
        fast.add_special_tokens(
            {"additional_special_tokens": [*SPECIALS[2:5], *names, "<|end_header_id|>"]}
        )
    if added:
        fast.add_tokens(list(added))
    fast.chat_template = template
    return fast


def save_model(folder: Path, *, positions: int = 512) -> None:
    """Save a random Llama of 2 layers with its tokenizer, sharp enough to answer variously."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    fast = tokenizer()
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=positions,
        tie_word_embeddings=True,
        bos_token_id=fast.bos_token_id,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
        initializer_range=0.2,
    )
    LlamaForCausalLM(config).to(torch.float32).save_pretrained(folder)
    fast.save_pretrained(folder)


MODULES = {
    "self_attn.q_proj": (64, 64),
    "self_attn.k_proj": (64, 64),
    "self_attn.v_proj": (64, 64),
    "self_attn.o_proj": (64, 64),
    "mlp.gate_proj": (64, 128),
    "mlp.up_proj": (64, 128),
    "mlp.down_proj": (128, 64),
}


def save_adapter(folder: Path, seed: int, *, rank: int = 8) -> None:
    """Save a random LoRA adapter in PEFT's format, strong enough to change every answer."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    dice = torch.Generator().manual_seed(seed)
    weights = {}
    for layer in range(2):
        for module, (width_in, width_out) in MODULES.items():
            name = f"base_model.model.model.layers.{layer}.{module}"
            weights[f"{name}.lora_A.weight"] = 0.2 * torch.randn(rank, width_in, generator=dice)
            weights[f"{name}.lora_B.weight"] = 0.2 * torch.randn(width_out, rank, generator=dice)
    save_file(weights, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "tiny",
        "r": rank,
        "lora_alpha": 2 * rank,
        "target_modules": sorted({module.split(".")[1] for module in MODULES}),
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))


def load_merged(model: Path, adapter: Path | None = None) -> Any:
    """Load with transformers, an adapter's product added to the weights by hand."""
    import torch
    from safetensors.torch import load_file
    from transformers import LlamaForCausalLM

    llama = LlamaForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    if adapter is None:
        return llama
    config = json.loads((adapter / "adapter_config.json").read_text())
    weights = load_file(adapter / "adapter_model.safetensors")
    parameters = dict(llama.named_parameters())
    with torch.no_grad():
        for name, down in weights.items():
            if ".lora_A." in name:
                up = weights[name.replace("lora_A", "lora_B")]
                target = name.removeprefix("base_model.model.").replace(".lora_A", "")
                parameters[target] += config["lora_alpha"] / config["r"] * (up @ down)
    return llama
