"""The language stage saves what it trains, and goes on from it."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers.models.llama.configuration_llama import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaForCausalLM

from vesalius.models.parts.llama_decode import LlamaDecoder
from vesalius.models.parts.projector import Projector
from vesalius.models.starter.checkpoint import load_speech, save_speech
from vesalius.models.starter.config import StarterConfig
from vesalius.training.starter.say import Row, SayRows, SayTask, adapted_language, train_say

CONFIG = StarterConfig((), (), (), (), encoder_layers=(12,), visual_tokens=4, lora_rank=4, lora_alpha=8)
SHAPE = LlamaConfig(
    vocab_size=64,
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    tie_word_embeddings=True,
    max_position_embeddings=128,
)


def row(index: int) -> Row:
    made = torch.Generator().manual_seed(index)
    ids = torch.randint(5, 64, (24,), generator=made)
    labels = ids.clone()
    labels[:16] = -100
    return {
        "ids": ids,
        "labels": labels,
        "visual": torch.arange(2, 6),
        "tokens": torch.randn(4, CONFIG.features, generator=made),
    }


def task() -> SayTask:
    torch.manual_seed(0)
    return SayTask(adapted_language(LlamaForCausalLM(SHAPE), CONFIG), Projector(CONFIG.features, 32))


def run(folder: Path, steps: int) -> tuple[SayTask, list[float]]:
    trained = task()
    log = train_say(
        trained,
        SayRows(row, 4),
        folder,
        steps=steps,
        accumulate=1,
        learning_rate=1e-2,
        seed=0,
        save_steps=20,
        bf16=False,
    )
    return trained, [float(entry["loss"]) for entry in log["log"] if "loss" in entry]


def test_the_loss_falls_and_the_checkpoint_holds_only_what_was_trained(tmp_path: Path):
    from safetensors import safe_open

    trained, losses = run(tmp_path, 60)
    assert losses[-1] < losses[0] - 0.2
    with safe_open(tmp_path / "checkpoint-60" / "model.safetensors", "pt") as saved:  # pyright: ignore[reportUnknownVariableType]
        names = list(saved.keys())
    assert names
    assert all("lora_" in name or name.startswith("projector.") for name in names)
    frozen = [name for name, value in trained.named_parameters() if not value.requires_grad]
    assert any("embed_tokens" in name for name in frozen)


def test_a_resumed_run_ends_with_the_same_adapters(tmp_path: Path):
    straight, _ = run(tmp_path / "straight", 40)
    (tmp_path / "resumed").mkdir()
    (tmp_path / "straight" / "checkpoint-20").rename(tmp_path / "resumed" / "checkpoint-20")
    resumed, _ = run(tmp_path / "resumed", 40)
    for name, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_saved_adapters_say_in_the_decoder_what_they_said_in_training(tmp_path: Path):
    trained, _ = run(tmp_path / "run", 20)
    save_speech(trained.language, trained.projector, tmp_path)
    projector, lora = load_speech(tmp_path, CONFIG, hidden=32)
    base = {
        name.replace(".base_layer", "").removeprefix("base_model.model."): value.detach()
        for name, value in trained.language.state_dict().items()
        if "lora_" not in name
    }
    config = {**SHAPE.to_dict(), "rope_parameters": {"rope_theta": 10000.0}}
    decoder = LlamaDecoder(base, config, lora)
    one = row(1)
    embedded = decoder.embed(one["ids"][None]).clone()
    with torch.no_grad():
        embedded[0, one["visual"]] = projector(one["tokens"])
        lean = decoder.logits(decoder.read(embedded, decoder.start(1, 32)))
        reference = trained.language(inputs_embeds=embedded).logits
    assert torch.allclose(lean, reference, atol=1e-4)
