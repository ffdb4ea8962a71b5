"""How the starter looks: in bfloat16 as in float32, and at no more than it must."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vesalius.inference.model import Model
from vesalius.models.contract import Shown
from vesalius.models.starter import look
from vesalius.models.starter.eyes import Eyes
from vesalius.models.starter.locate import Located
from vesalius.models.starter.starter import Starter
from vesalius.phantoms.pictures import draw_picture
from vesalius.phantoms.splits import HELD_OUT
from vesalius.phantoms.volumes import draw_volume
from vesalius.phantoms.write_media import write_volume
from vesalius.study.read import read


def test_bfloat16_sees_what_float32_sees(starter: Model):
    assert isinstance(starter.family, Starter)
    eyes = starter.family.eyes
    squares = np.stack([draw_picture(HELD_OUT[n], "skin", size=(224, 224)).pixels for n in range(4)])
    exact, quick = (Eyes(eyes.encoder, eyes.head, eyes.config, bf16=bf16).look(squares) for bf16 in (False, True))
    for one, other in zip(exact, quick, strict=True):
        assert [name for name, _ in (one.modality, one.plane, one.region)] == [
            name for name, _ in (other.modality, other.plane, other.region)
        ]
        inside, also = one.maps.masks > 0, other.maps.masks > 0
        assert (inside & also).sum() >= 0.97 * (inside | also).sum()
        assert not np.array_equal(one.maps.masks, other.maps.masks)  # the switch does something


def test_a_chains_size_is_the_greatest_of_its_glances(starter: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert isinstance(starter.family, Starter)
    truth = draw_volume(HELD_OUT[10], "ct", region="chest", shape=(96, 96, 16))
    write_volume(tmp_path / "scan.nii.gz", truth.values, truth.affine_ras)
    (item,) = read(tmp_path / "scan.nii.gz").items
    measured: list[Located] = []
    size_mm = look._size_mm

    def counted(located: Located, spacing: tuple[float, float] | None) -> float | None:
        measured.append(located)
        return size_mm(located, spacing)

    monkeypatch.setattr(look, "_size_mm", counted)
    seen = look.look_at(Shown(item), 0, starter.family.eyes)
    spacing = {glance.where: glance.spacing_mm for glance in seen.glances}
    for found in seen.objects:
        every = [size for where, one in found.seen if (size := size_mm(one, spacing[where])) is not None]
        assert found.size_mm == max(every, default=None)
    assert len(measured) < sum(len(found.seen) for found in seen.objects)
