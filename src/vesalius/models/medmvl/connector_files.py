"""Connectors that lie in a file of their own: what `connector_X_path` names, for checkpoints that lack their tensors.

The published loader keeps what follows the last "connector." of a name, which restores the MLP and loses the queries
and the attention of an attn_pooling connector. Here everything in the file counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor

from vesalius.errors import CheckpointError

__all__ = ["connector_tensors", "with_connectors"]

_OWN = re.compile(r"(?:^|\.)(connector\.\d+\.(?:weight|bias)|query|attn\.[\w.]+)$")


def with_connectors(tensors: Mapping[str, Tensor], files: Mapping[str, str], folder: Path) -> Mapping[str, Tensor]:
    """The checkpoint's tensors, and those of connectors it lacks. What the checkpoint holds itself wins.

    `files`: module ("connector_image", "connector_image3d") → path, absolute or from the checkpoint's folder; one that
    is not there is passed over (the missing tensors are named later). CheckpointError for a pickle.
    """
    made: dict[str, Tensor] = {}
    hidden: set[str] = set()
    for module, named in files.items():
        if any(name.startswith(f"{module}.") for name in tensors):
            continue
        file = next((path for path in _candidates(folder, named) if path.is_file()), None)
        if file is not None:
            own = connector_tensors(file, module)
            made |= own
            if file.parent == folder:  # it was taken for one of the checkpoint's own files
                hidden |= {name for name in tensors if f"{module}.{_bare(name)}" in own}
    return _Joined({name: tensors for name in tensors if name not in hidden}, made) if made else tensors


def _candidates(folder: Path, named: str) -> list[Path]:
    """Where the file may lie; one that was converted to safetensors comes before the pickle it was made of."""
    places = [Path(named), folder / named, folder / Path(named).name]
    return [path for place in places for path in (place.with_suffix(".safetensors"), place)]


def connector_tensors(file: Path, module: str) -> dict[str, Tensor]:
    """The file's tensors under the checkpoint's names (`connector_image.query`…), whatever prefix they have there."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if file.suffix != ".safetensors":
        raise CheckpointError(
            f"the connector's weights are a pickle ({file.name}), which can run code when it is opened.",
            file=file,
            fix="Convert it to safetensors of the same name where you trust it.",
        )
    try:
        stored = load_file(file)
    except (OSError, SafetensorError) as exc:
        raise CheckpointError("the connector's file is cut off or damaged.", file=file) from exc
    other = "connector_image3d." if module == "connector_image" else "connector_image."
    made: dict[str, Tensor] = {}
    for name, value in stored.items():
        own = _bare(name)
        if not own:
            raise CheckpointError(f"tensor {name!r} of the connector's file belongs to no connector.", file=file)
        if other not in name:
            made[f"{module}.{own}"] = value
    return made


def _bare(name: str) -> str:
    """A connector's tensor without what stands before it, "" for others."""
    own = _OWN.search(name)
    return own[1] if own and not name.startswith(("llm.", "encoder_")) else ""


class _Joined(Mapping[str, Tensor]):
    """Tensors of the checkpoint, still read one by one, and those of the connectors."""

    def __init__(self, stored: Mapping[str, Mapping[str, Tensor]], more: Mapping[str, Tensor]) -> None:
        self._stored, self._more = stored, more

    def __getitem__(self, name: str) -> Tensor:
        return self._more[name] if name in self._more else self._stored[name][name]

    def __iter__(self) -> Iterator[str]:
        yield from self._stored
        yield from (name for name in self._more if name not in self._stored)

    def __len__(self) -> int:
        return len({*self._stored, *self._more})
