"""A packed row costs what its samples cost one by one, gradients included, whatever their neighbours and order."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.models.parity import ROOT, loaded, user
from vesalius.errors import InputError

FIXTURES = ROOT / "tests" / "fixtures"
MEDMO = FIXTURES / "medmo"
PICTURE = {"type": "image", "image": str(MEDMO / "inputs" / "img0.png")}
OTHER = {"type": "image", "image": str(MEDMO / "inputs" / "img1.png")}
VIDEO = {"type": "video", "video": str(MEDMO / "inputs" / "video0.npy"), "fps": 2.0}
VOLUME = {"type": "volume", "volume": str(FIXTURES / "hulumed" / "inputs" / "volume_44x60x10.nii.gz"), "num_slices": 3}
MIXED = [
    [*user(PICTURE, "What is shown?"), {"role": "assistant", "content": "A lung."}],
    [*user("What is the normal size of the liver?"), {"role": "assistant", "content": "Fifteen centimetres."}],
    [*user(VIDEO, "What moves?", OTHER), {"role": "assistant", "content": "A dot."}],
    [*user(VOLUME, "Which organ?"), {"role": "assistant", "content": "The liver, on every slice."}],
]
LESION = {"type": "image", "image": str(FIXTURES / "medmvl" / "inputs" / "lesion_rgb.png")}
CT = {"type": "volume", "volume": str(FIXTURES / "medmvl" / "inputs" / "ct_int16.npy")}
WORDS = [*user("What is the normal size of the liver?"), {"role": "assistant", "content": "Fifteen centimetres."}]
MEDMVL = {
    "pictures": [
        [*user(LESION, "What is shown?"), {"role": "assistant", "content": "A lesion."}],
        WORDS,
        [*user(LESION, "Where?", LESION), {"role": "assistant", "content": "On the left, in both."}],
        [*user(LESION, "Which colour?"), {"role": "assistant", "content": "Brown."}],
    ],
    "slices": [
        [*user({**CT, "num_slices": 3}, "Which organ?"), {"role": "assistant", "content": "The liver."}],
        WORDS,
        [*user({**CT, "num_slices": 5}, "Is it large?"), {"role": "assistant", "content": "No, it is not."}],
        [*user(LESION, "Which colour?"), {"role": "assistant", "content": "Brown."}],
    ],
    "volumes": [
        [*user(CT, "Which organ?"), {"role": "assistant", "content": "The liver."}],
        WORDS,
        [*user(CT, "Is it large?"), {"role": "assistant", "content": "No, it is not."}],
        [*user(CT, "Findings?"), {"role": "assistant", "content": "None."}],
    ],
}
KINDS = {
    "medmvl/clip_mlp_llama3": "pictures",
    "medmvl/siglip_mlp_phi3": "pictures",
    "medmvl/siglip_slices_attnpool_qwen2": "slices",
    "medmvl/m3dclip_spatialpool_qwen2": "volumes",
}
CHECKPOINTS = [
    *KINDS,
    "medmo/qwen3vl_tiny",
    "medmo/qwen25vl_tiny",
    "citrusv/citrusv_tiny",
    "hulumed/qwen2_hf",
    "hulumed/qwen3_hf",
]


def gradients(model: Any, losses: list[Any]) -> dict[str, torch.Tensor]:
    """Of the sum of the losses, by parameter."""
    network = model.family.model
    network.zero_grad(set_to_none=True)
    for loss in losses:
        loss.backward()
    return {name: one.grad.clone() for name, one in network.named_parameters() if one.grad is not None}


def close(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor], near: float = 1e-5) -> None:
    """Equal to `near` of the largest gradient of each parameter."""
    assert found.keys() == wanted.keys()
    largest = max(float(one.abs().max()) for one in wanted.values())
    for name, one in wanted.items():
        scale = max(float(one.abs().max()), 1e-3 * largest)
        assert float((found[name] - one).abs().max()) <= near * scale, name


def samples(model: Any, folder: str) -> list[Any]:
    return [model.prepare(one) for one in (MEDMVL[KINDS[folder]] if folder in KINDS else MIXED)]


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_loss_and_gradients_of_a_mixed_row_are_those_of_its_samples(checkpoint: str) -> None:
    model = loaded(FIXTURES / checkpoint)
    family = model.family
    alone = samples(model, checkpoint)
    row = family.pack(alone)
    assert family.length(row) == sum(family.length(one) for one in alone)
    packed, parts = family.row_loss(row), [family.row_loss(one) for one in alone]
    assert packed.tokens == sum(one.tokens for one in parts)
    assert packed.tokens_per_sample == tuple(one.tokens for one in parts)
    torch.testing.assert_close(packed.per_sample, torch.cat([one.per_sample for one in parts]), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(packed.summed, sum(one.summed for one in parts), rtol=1e-5, atol=1e-5)
    close(gradients(model, [packed.summed]), gradients(model, [one.summed for one in parts]))


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_a_sample_does_not_depend_on_its_neighbours_or_their_order(checkpoint: str) -> None:
    model = loaded(FIXTURES / checkpoint)
    family = model.family
    alone = samples(model, checkpoint)
    with torch.no_grad():
        wanted = [float(family.row_loss(one).per_sample[0]) for one in alone]
        for order in ((3, 1, 0, 2), (2, 0), (1, 1, 3)):
            row = family.pack([alone[number] for number in order])
            assert family.row_loss(row).per_sample.tolist() == pytest.approx(
                [wanted[number] for number in order], abs=2e-5
            )


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_packing_packed_rows_is_packing_their_samples(checkpoint: str) -> None:
    model = loaded(FIXTURES / checkpoint)
    family = model.family
    alone = samples(model, checkpoint)
    whole = family.pack(alone)
    halves = family.pack([family.pack(alone[:2]), family.pack(alone[2:])])
    assert halves.keys() == whole.keys()
    for name in whole:
        assert torch.equal(halves[name], whole[name]), name
    with pytest.raises(InputError, match="no sample"):
        family.pack([])


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_no_block_mask_is_built_for_a_packed_row(checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded(FIXTURES / checkpoint)
    family = model.family
    alone = samples(model, checkpoint)
    row = family.pack(alone)
    seen: list[Any] = []
    real = torch.nn.functional.scaled_dot_product_attention

    def watched(query: Any, *others: Any, **named: Any) -> Any:
        seen.append((query.shape[-2], named.get("attn_mask"), named.get("is_causal")))
        return real(query, *others, **named)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", watched)
    family.row_loss(row)
    assert all(mask is None for _, mask, _ in seen)
    causal = [length for length, _, is_causal in seen if is_causal]
    assert causal[: len(alone)] == [family.length(one) for one in alone]
    assert len(causal) % len(alone) == 0


def test_a_row_trains_the_same_with_recomputed_activations() -> None:
    family = loaded(MEDMO / "qwen3vl_tiny").family
    row = family.pack(samples(loaded(MEDMO / "qwen3vl_tiny"), ""))
    plain = gradients(loaded(MEDMO / "qwen3vl_tiny"), [family.row_loss(row).summed])
    text = family.network.text
    text.train()
    text.activation_checkpointing_enable()
    try:
        again = gradients(loaded(MEDMO / "qwen3vl_tiny"), [family.row_loss(row).summed])
    finally:
        text.activation_checkpointing_disable()
        text.eval()
    close(again, plain)
