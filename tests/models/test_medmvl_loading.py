"""Loading MedM-VL: layouts, sizes without a network, every tensor accounted for, tokenizers of the checkpoint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import vesalius
from tests.models.parity import ROOT
from vesalius.errors import CheckpointError, VesaliusError
from vesalius.models.medmvl.config import load_config
from vesalius.models.medmvl.load import UNUSED, build_network
from vesalius.models.medmvl.network import MedmvlNetwork
from vesalius.models.medmvl.prompt import PICTURE, Turn, build_prompt
from vesalius.models.medmvl.tokens import load_tokenizer
from vesalius.models.parts.sentencepiece_bpe import decode_pieces, read_sentencepiece
from vesalius.models.registry import recognise
from vesalius.models.weights import building

FIXTURES = ROOT / "tests" / "fixtures" / "medmvl"
QWEN = "siglip_mlp_qwen2"


def copied(checkpoint: str, folder: Path) -> Path:
    shutil.copytree(FIXTURES / checkpoint, folder, ignore=shutil.ignore_patterns("cases"))
    return folder


def loaded(folder: Path) -> Any:
    return vesalius.load(str(folder), device="cpu", dtype="float32").family


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize(
    ("checkpoint", "generation"),
    [
        (QWEN, "g2"),
        ("clip_mlp_llama3", "g2"),
        ("m3dclip_spatialpool_qwen2", "g0"),
        ("medmclip_spatialpool_qwen2", "g0"),
    ],
)
def test_the_generation_follows_from_the_config(checkpoint: str, generation: str) -> None:
    assert recognise(FIXTURES / checkpoint).name == "medmvl"
    assert load_config(FIXTURES / checkpoint).generation == generation


def test_nested_sizes_of_the_older_layout_serve_without_sidecars(tmp_path: Path) -> None:
    folder = copied("medmclip_spatialpool_qwen2", tmp_path / "c")
    with_sidecars = load_config(folder)
    for sidecar in ("llm_config.json", "encoder_image3d_config.json"):
        (folder / sidecar).unlink()
    without = load_config(folder)
    assert without.encoder_3d == with_sidecars.encoder_3d
    assert loaded(folder).model.llm.config.hidden_size == 48


def test_sizes_that_are_nowhere_name_the_file_to_add(tmp_path: Path) -> None:
    folder = copied(QWEN, tmp_path / "c")
    (folder / "encoder_image_config.json").unlink()
    with pytest.raises(CheckpointError, match=r"Add .* as encoder_image_config\.json"):
        loaded(folder)


def test_a_local_folder_may_hold_the_sizes(tmp_path: Path) -> None:
    folder = copied(QWEN, tmp_path / "c")
    (tmp_path / "tower").mkdir()
    sizes = json.loads((folder / "encoder_image_config.json").read_text())
    (tmp_path / "tower" / "config.json").write_text(json.dumps({"vision_config": sizes}))
    (folder / "encoder_image_config.json").unlink()
    edit(folder / "config.json", lambda c: c.update(lvlm_encoder_image_name_or_path=str(tmp_path / "tower")))
    assert load_config(folder).encoder == load_config(FIXTURES / QWEN).encoder


PUBLISHED = {
    "MedM-VL-CT-Chest-3B": (
        {
            "lvlm_llm_type": "qwen2",
            "lvlm_llm_name_or_path": "Qwen/Qwen2.5-3B-Instruct",
            "lvlm_encoder_image_type": "siglip",
            "lvlm_encoder_image_name_or_path": "google/siglip-base-patch16-256-multilingual",
            "lvlm_encoder_image_select_layer": -1,
            "lvlm_encoder_image_select_feature": "cls_patch",
            "lvlm_connector_image_type": "attn_pooling",
            "lvlm_connector_image_name": "mlp2x_gelu",
        },
        {"connector_image.query": torch.zeros(256, 768)},
        {
            "llm.model.embed_tokens.weight": (151936, 2048),
            "llm.model.layers.35.self_attn.k_proj.weight": (256, 2048),
            "encoder_image.encoder.vision_model.embeddings.position_embedding.weight": (256, 768),
            "connector_image.connector.2.weight": (2048, 2048),
        },
    ),
    "MedM-VL-CT-3B": (
        {
            "llm_type": "llama3",
            "llm_name_or_path": "meta-llama/Llama-3.2-3B-Instruct",
            "encoder_image_type": None,
            "encoder_image3d_type": "m3dclip",
            "encoder_image3d_select_layer": -1,
            "encoder_image3d_select_feature": "patch",
            "connector_image3d_type": "spatial_pooling",
            "connector_image3d_name": "mlp2x_gelu",
        },
        {},
        {
            "llm.model.layers.27.self_attn.k_proj.weight": (1024, 3072),
            "encoder_image3d.encoder.vision_encoder.patch_embedding.position_embeddings": (1, 2048, 768),
            "connector_image3d.connector.0.weight": (3072, 768),
        },
    ),
    "Phi-3 with slices": (
        {
            "lvlm_llm_type": "phi3",
            "lvlm_llm_name_or_path": "microsoft/Phi-3-mini-128k-instruct",
            "lvlm_encoder_image_type": "siglip",
            "lvlm_encoder_image_name_or_path": "google/siglip-base-patch16-256-multilingual",
            "lvlm_encoder_image_select_layer": -1,
            "lvlm_encoder_image_select_feature": "cls_patch",
            "lvlm_connector_image_type": "attn_pooling",
            "lvlm_connector_image_name": "mlp2x_gelu",
        },
        {"connector_image.query": torch.zeros(256, 768), "llm.lm_head.weight": torch.zeros(32064, 3072)},
        {
            "llm.model.layers.31.self_attn.qkv_proj.weight": (9216, 3072),
            "llm.model.layers.31.mlp.gate_up_proj.weight": (16384, 3072),
            "llm.lm_head.weight": (32064, 3072),
        },
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_model_has_its_full_size_without_files_of_others(name: str, tmp_path: Path) -> None:
    config, tensors, shapes = PUBLISHED[name]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with torch.device("meta"):
        network = build_network(load_config(tmp_path), tensors, torch.bfloat16)
    own = network.state_dict()
    assert {key: tuple(own[key].shape) for key in shapes} == shapes
    assert network.tokens_of_volume(32) == 256
    assert network.dtype == torch.bfloat16


def test_phi_3_turns_by_its_long_rope_factors(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(PUBLISHED["Phi-3 with slices"][0]))
    llm = load_config(tmp_path).llm
    factors = llm["rope_scaling"]
    assert [len(factors[name]) for name in ("short_factor", "long_factor")] == [48, 48]
    assert factors["short_factor"] == sorted(factors["short_factor"])
    assert factors["long_factor"] == sorted(factors["long_factor"])
    from transformers import Phi3Config
    from transformers.models.phi3.modeling_phi3 import Phi3RotaryEmbedding

    sizes: dict[str, Any] = {name: value for name, value in llm.items() if name != "model_type"}
    rotary: Any = Phi3RotaryEmbedding(Phi3Config(**sizes))
    plain = 10000.0 ** (-torch.arange(0, 96, 2, dtype=torch.float32) / 96)
    torch.testing.assert_close(rotary.inv_freq, plain / torch.tensor(factors["short_factor"]))
    # sqrt(1 + ln(131072 / 4096) / ln(4096)), by which cosines and sines are enlarged.
    assert rotary.attention_scaling == pytest.approx(1.1902380714238083)


def without_connector(checkpoint: str, folder: Path, prefix: str, name: str = "connector.safetensors") -> Path:
    """The checkpoint with its connector in a file of its own, named in the config."""
    folder = copied(checkpoint, folder)
    tensors = load_file(folder / "model.safetensors")
    own = {key: value for key, value in tensors.items() if key.startswith("connector_image.")}
    with_tensors(folder, lambda t: [t.pop(key) for key in own])
    save_file({key.replace("connector_image.", prefix): value for key, value in own.items()}, folder / name)
    edit(folder / "config.json", lambda c: c.update(lvlm_connector_image_path=f"/somebody/{name}"))
    return folder


@pytest.mark.parametrize("prefix", ["", "connector_image.", "module.connector_image."])
def test_a_connector_may_lie_in_a_file_of_its_own(prefix: str, tmp_path: Path) -> None:
    checkpoint = "siglip_slices_attnpool_qwen2"
    whole = loaded(FIXTURES / checkpoint).model.state_dict()
    apart = loaded(without_connector(checkpoint, tmp_path / "c", prefix)).model.state_dict()
    assert whole.keys() == apart.keys()
    assert all(torch.equal(whole[name], apart[name]) for name in whole)  # the queries and the attention, too


def test_what_a_connectors_file_lacks_is_named(tmp_path: Path) -> None:
    folder = without_connector("siglip_slices_attnpool_qwen2", tmp_path / "c", "")
    file = folder / "connector.safetensors"
    tensors = load_file(file)
    save_file({k: v for k, v in tensors.items() if k != "attn.in_proj_bias"}, file)
    with pytest.raises(CheckpointError, match=r"missing tensors \(connector_image.attn.in_proj_bias\)"):
        loaded(folder)
    save_file({**tensors, "scale": torch.ones(1)}, file)
    with pytest.raises(CheckpointError, match="'scale' of the connector's file"):
        loaded(folder)
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(CheckpointError, match="cut off"):
        loaded(folder)
    file.rename(folder / "connector.bin")
    edit(folder / "config.json", lambda c: c.update(lvlm_connector_image_path="connector.bin"))
    with pytest.raises(CheckpointError, match="pickle"):
        loaded(folder)


def test_building_takes_no_memory_for_weights_and_leaves_torch_as_it_was() -> None:
    before = torch.nn.Module.register_parameter, torch.get_default_dtype()
    with building(torch.bfloat16):
        layer = torch.nn.Linear(1 << 20, 1 << 20)
        norm = torch.nn.BatchNorm1d(2)
    assert (layer.weight.device.type, layer.weight.dtype) == ("meta", torch.bfloat16)
    assert norm.running_var is not None
    assert norm.running_var.tolist() == [1, 1]
    assert (torch.nn.Module.register_parameter, torch.get_default_dtype()) == before
    assert torch.nn.Linear(2, 2).weight.device.type == "cpu"


# Tensors


def with_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> Path:
    path = folder / "model.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    change(tensors)
    path.unlink()
    save_file(tensors, path)
    return folder


def test_unused_tensors_are_listed_and_nothing_else_is_left_over() -> None:
    family = loaded(FIXTURES / "m3dclip_spatialpool_qwen2")
    stored = load_file(FIXTURES / "m3dclip_spatialpool_qwen2" / "model.safetensors")
    own = set(dict(family.model.named_parameters()))
    assert own | set(family.unused) == set(stored)
    assert not own & set(family.unused)
    assert "encoder_image3d.encoder.vision_encoder.norm.weight" in family.unused
    assert all(UNUSED.values())


def test_a_stored_head_is_its_own_even_if_the_config_ties(tmp_path: Path) -> None:
    def store_head(tensors: dict[str, torch.Tensor]) -> None:
        tensors["llm.lm_head.weight"] = tensors["llm.model.embed_tokens.weight"] + 1

    tied: MedmvlNetwork = loaded(FIXTURES / QWEN).model
    assert tied.llm.lm_head.weight is tied.llm.model.embed_tokens.weight
    own: MedmvlNetwork = loaded(with_tensors(copied(QWEN, tmp_path / "c"), store_head)).model
    assert torch.equal(own.llm.lm_head.weight, own.llm.model.embed_tokens.weight + 1)


@pytest.mark.parametrize(
    ("checkpoint", "change", "says"),
    [
        ("siglip_mlp_phi3", lambda t: t.pop("llm.lm_head.weight"), r"lm_head\.weight is missing"),
        (QWEN, lambda t: t.pop("connector_image.connector.0.bias"), r"connector_image\.connector\.0\.bias"),
        (QWEN, lambda t: t.update({"encoder_audio.x": torch.zeros(1)}), r"encoder_audio\.x"),
        (QWEN, lambda t: t.update({"connector_image.connector.0.bias": torch.zeros(3)}), r"\(3,\).*\(48,\)"),
        ("siglip_slices_attnpool_qwen2", lambda t: t.pop("connector_image.query"), "no query"),
    ],
)
def test_tensors_that_do_not_fit_are_named(checkpoint: str, change: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=says):
        loaded(with_tensors(copied(checkpoint, tmp_path / "c"), change))


# Configs and tokenizers


@pytest.mark.parametrize(
    ("file", "change", "says"),
    [
        ("config.json", lambda c: c.update(lvlm_llm_type="gemma"), "gemma"),
        ("config.json", lambda c: c.update(lvlm_encoder_image_type="ctclip"), "ctclip"),
        ("config.json", lambda c: c.update(lvlm_encoder_image_type=None), "no encoder"),
        ("config.json", lambda c: c.update(lvlm_connector_image_type="qformer"), "qformer"),
        ("config.json", lambda c: c.update(lvlm_connector_image_name="mlp0x_gelu"), "mlp0x_gelu"),
        ("config.json", lambda c: c.update(lvlm_encoder_image_select_layer=9), "select_layer is 9"),
        ("config.json", lambda c: c.update(lvlm_encoder_image_select_feature="cls"), "'cls'"),
        ("preprocessor_config.json", lambda c: c.update(size={"height": 64, "width": 64}), "64"),
        ("preprocessor_config.json", lambda c: c.update(resample=2), "resample 2"),
        ("tokenizer_config.json", lambda c: c["added_tokens_decoder"].pop("340"), "should be 341"),
        ("tokenizer_config.json", lambda c: c.update(tokenizer_class="BertTokenizer"), "BertTokenizer"),
        ("vocab.json", lambda c: c.update({f"x{n}": 340 + n for n in range(100)}), "should be|tokens, the model"),
    ],
)
def test_a_wrong_file_is_one_clear_error(file: str, change: Any, says: str, tmp_path: Path) -> None:
    folder = copied(QWEN, tmp_path / "c")
    if file == "tokenizer_config.json":
        (folder / "added_tokens.json").unlink()
    edit(folder / file, change)
    with pytest.raises(VesaliusError, match=says) as caught:
        loaded(folder)
    assert "\n" not in str(caught.value)


def test_a_damaged_sentencepiece_file_is_said(tmp_path: Path) -> None:
    whole = (FIXTURES / "siglip_mlp_phi3" / "tokenizer.model").read_bytes()
    for number, content in enumerate((whole[:-3], b"", b"\xff" * 40, b"text, no model")):
        path = tmp_path / f"{number}.model"
        path.write_bytes(content)
        with pytest.raises(CheckpointError):
            read_sentencepiece(path)


def test_bytes_that_are_no_character_do_not_spoil_their_neighbours() -> None:
    assert decode_pieces(["▁a", "<0xE2>", "<0x82>", "<0xAC>", "<0xE2>", "<0x7E>", "b"]) == " a€\ufffd~b"


def test_half_precision_computes() -> None:
    family = vesalius.load(str(FIXTURES / QWEN), device="cpu", dtype="bfloat16")
    batch = family.prepare([{"role": "user", "content": "What?"}])
    assert family.logits(batch).dtype == torch.float32


def test_an_older_llama_begins_with_bos_and_puts_a_space_after_every_end(tmp_path: Path) -> None:
    folder = copied("siglip_mlp_phi3", tmp_path / "c")
    edit(folder / "tokenizer_config.json", lambda c: c.update(legacy=True, add_bos_token=True))
    tokenizer = load_tokenizer(folder, "llama", 416)
    asked, picture = Turn(("a",), "b"), Turn((PICTURE, "a"), "b")
    prompt = build_prompt(tokenizer, "c", [asked, asked], "llama")
    pieces = [tokenizer.tokenizer.id_to_token(number) for number in prompt.ids]
    assert pieces[:2] == ["<s>", "▁c"]
    after = pieces.index("</s>") + 1
    assert pieces[after : after + 3] == ["▁", "U", "S"]
    assert [tokenizer.tokenizer.id_to_token(n) for n in prompt.labels if n >= 0] == ["▁b", "</s>"] * 2
    assert build_prompt(tokenizer, "c", [picture], "pretrain").ids[0] == PICTURE
    assert tokenizer.pad_id == tokenizer.id_of("<unk>")
