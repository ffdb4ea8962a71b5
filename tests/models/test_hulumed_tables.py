"""Hulu-Med's rules on plain numbers and text: target sizes, frames and slices, prompts, thoughts, published shapes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vesalius.errors import CheckpointError, InputError, OptionError
from vesalius.models.hulumed.config import HuluMedConfig, ImageRules, VisionShape, is_hulumed, read_config
from vesalius.models.hulumed.network import build_network
from vesalius.models.hulumed.pixels import SizedItem, target_sizes
from vesalius.models.hulumed.prompt import MediaPart, Said, render, rendered_text, system_sentence, time_text
from vesalius.models.hulumed.thinking import split_thinking, strip_thinking
from vesalius.models.hulumed.videos import original_frames, resampled_frames, segment_frames, spread_frames
from vesalius.models.hulumed.volumes import slice_indices

TABLES = Path(__file__).resolve().parents[1] / "fixtures" / "hulumed" / "tables"


def table(name: str) -> Any:
    return json.loads((TABLES / f"{name}.json").read_text(encoding="utf-8"))


def test_target_sizes_of_one_pooling_are_the_published_ones() -> None:
    stored = table("resize_and_sampling")
    for width, height, merge, frames, budget, *expected in stored["uniform_merge"]:
        found: list[int] = []
        for high, wide in ((width, height), (height, width)):  # Pillow pictures go by their exchanged size
            item = SizedItem(high, wide, frames, merge)
            (size,) = target_sizes([item], patch=14, min_tokens=stored["min_tokens"], max_tokens=budget)
            found += [size.height, size.width]
        assert found == expected, (width, height, merge, frames, budget)


def test_target_sizes_of_mixed_poolings_are_the_published_ones() -> None:
    for row in table("resize_and_sampling")["mixed_merge"]:
        items = [SizedItem(high, wide, t, m) for wide, high, t, m in row["items_width_height_frames_merge"]]
        sizes = target_sizes(items, patch=14, min_tokens=16, max_tokens=row["max_tokens"])
        assert [[size.height, size.width] for size in sizes] == row["target_height_width"]


def test_a_mixed_call_that_would_lose_a_side_is_refused_and_corrected_with_the_quirk_off() -> None:
    items = [SizedItem(6, 90, 1, 1), SizedItem(100, 100, 4, 2)]
    with pytest.raises(InputError, match="would be resized"):
        target_sizes(items, patch=14, min_tokens=16, max_tokens=16384)
    first, _ = target_sizes(items, patch=14, min_tokens=16, max_tokens=16384, minimum_when_mixed=True)
    assert (first.height // 14) * (first.width // 14) >= 16


def test_frames_of_animations_and_folders_are_the_published_ones() -> None:
    for row in table("resize_and_sampling")["frame_index_rule_for_gif_and_folder"]:
        if "fps" in row:
            assert segment_frames(row["frames"], row["video_fps"], row["fps"]) == row["indices"]
        else:
            assert spread_frames(0, row["frames"], row["num_frames"]) == row["indices"]


def test_frames_of_videos_follow_each_readers_rule() -> None:
    assert original_frames(10, 30.0, 10) == [0, 3, 6, 9]
    assert original_frames(10, 1.0, 30) == list(range(10))
    assert original_frames(100, 25.0, 25, most=5) == [0, 24, 49, 74, 99]
    indices, times = resampled_frames(np.arange(75) / 25.0, fps=1.0)
    assert (indices, times) == ([24, 49, 74], (0.0, 1.0, 2.0))
    indices, times = resampled_frames(np.arange(40, dtype=np.float64), fps=1.0, most=3)
    assert (indices, times) == ([0, 19, 39], (0.0, 19.0, 39.0))


def test_slices_repeat_only_with_the_original_reader() -> None:
    assert slice_indices(10, None, "hf") == list(range(10))
    assert slice_indices(10, 16, "hf") == list(range(10))
    assert slice_indices(10, 4, "hf") == [0, 3, 6, 9]
    assert slice_indices(10, 16, "original") == [0, 0, 1, 1, 2, 3, 3, 4, 4, 5, 6, 6, 7, 7, 8, 9]
    assert len(slice_indices(60, None, "original")) == 180
    assert slice_indices(10, 16, "original", repeat=False) == list(range(10))


@pytest.mark.parametrize("name", sorted(table("prompts_original_template")))
def test_prompts_are_the_published_ones(name: str) -> None:
    row = table("prompts_original_template")[name]
    messages: list[Said] = []
    for message in row["reference_messages"]:
        content = message["content"]
        parts = [content] if isinstance(content, str) else [_part(part) for part in content]
        messages.append(Said(message["role"], tuple(parts)))
    assert rendered_text(render(messages, generation=False)) == row["rendered"]
    assert rendered_text(render(messages, generation=True)) == row["rendered_with_generation_prompt"]


def _part(part: dict[str, Any]) -> str | MediaPart:
    if part["type"] == "text":
        return part["text"]
    if part["type"] == "image":
        return MediaPart("image", times=(part["time"],) if "time" in part else None)
    return MediaPart("video", part["num_frames"], tuple(part["timestamps"]) if "timestamps" in part else None)


def test_times_have_one_decimal_as_python_rounds() -> None:
    assert [time_text(t) for t in (1, 2.04, 3.25, 0.05, 12.25)] == ["1.0", "2.0", "3.2", "0.1", "12.2"]


def test_the_system_sentence_is_read_from_the_template_as_text(tmp_path: Path) -> None:
    template = "{%- if add_system_prompt %}{{- '<|im_start|>system\\nYou are kind.<|im_end|>\\n' -}}{% endif %}"
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": template}), encoding="utf-8")
    assert system_sentence(tmp_path) == "You are kind."
    said = [Said("user", ("Hi",))]
    assert rendered_text(render(said, generation=False, system="You are kind.")).startswith(
        "<|im_start|>system\nYou are kind.<|im_end|>\n<|im_start|>user\nHi"
    )
    with pytest.raises(OptionError, match="no system sentence"):
        system_sentence(tmp_path / "nowhere")


def test_thoughts_are_stripped_as_published() -> None:
    for row in table("think_stripping"):
        assert strip_thinking(row["raw"]) == row["use_think_false"]


def test_a_thought_that_was_cut_off_is_no_answer() -> None:
    assert split_thinking("<think>a\nb</think>\n\n\nThe answer is B.") == ("a\nb", "The answer is B.")
    assert split_thinking("Well. <think>open only, cut off") == ("open only, cut off", "Well.")
    assert split_thinking("plain") == ("", "plain")


@pytest.mark.parametrize("size", ["4B", "7B", "14B", "32B"])
def test_the_network_has_the_published_shapes(size: str) -> None:
    published = table("published_key_shapes")[size]
    expected = {
        name.replace("{i}", str(number)): tuple(shape)
        for name, (shape, count) in published["hf_layout"].items()
        for number in range(count)
    }
    network = build_network(_published(published["hf_layout"]), torch.bfloat16)
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == expected
    assert sum(value.numel() for value in network.parameters()) == published["params_total"]


def _published(shapes: dict[str, Any]) -> HuluMedConfig:
    """Sizes read off the table; 128 is the head width of both bases."""
    (vocabulary, hidden), _ = shapes["model.embed_tokens.weight"]
    (queries, _), layers = shapes["model.layers.{i}.self_attn.q_proj.weight"]
    (keys, _), _ = shapes["model.layers.{i}.self_attn.k_proj.weight"]
    (inner, _), _ = shapes["model.layers.{i}.mlp.gate_proj.weight"]
    qwen3 = "model.layers.{i}.self_attn.q_norm.weight" in shapes
    language: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": queries // 128,
        "num_key_value_heads": keys // 128,
        "intermediate_size": inner,
    }
    language |= {"head_dim": 128} if qwen3 else {}
    return HuluMedConfig("hf", qwen3, language, VisionShape(), ImageRules(), 151669, True, "bfloat16")


def test_configs_of_this_family_are_known_and_other_architectures_refused(tmp_path: Path) -> None:
    assert is_hulumed({"model_type": "hulumed_qwen2"})
    assert is_hulumed({"architectures": ["HulumedQwen3ForCausalLM"]})
    assert not is_hulumed({"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]})
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "hulumed_qwen3_moe"}), encoding="utf-8")
    with pytest.raises(CheckpointError, match="another architecture"):
        read_config(tmp_path, {})


def test_an_encoder_that_is_nowhere_is_taken_as_the_published_one_only_at_its_size(tmp_path: Path) -> None:
    config = {"model_type": "hulumed_qwen2", "image_token_index": 5, "vision_encoder": "a-hub/name", "hidden_size": 8}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    name = "model.vision_encoder.vision_encoder.embeddings.patch_embedding.weight"
    found = read_config(tmp_path, {name: torch.zeros(1152, 3, 14, 14)})
    assert (found.vision, found.rules, found.layout) == (VisionShape(), ImageRules(), "original")
    with pytest.raises(CheckpointError, match="a-hub/name"):
        read_config(tmp_path, {name: torch.zeros(48, 3, 14, 14)})
