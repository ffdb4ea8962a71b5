"""Connectors that lie in a file of their own: what `connector_X_path` names, for checkpoints that lack their tensors.

The published loader keeps what follows the last "connector." of a name, which restores the MLP and loses the queries
and the attention of an attn_pooling connector. Here everything in the file counts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from vesalius.errors import CheckpointError
from vesalius.models.shards import StoredRows, StoredTensor, read_header, read_tensor, staging_buffer
from vesalius.models.weights import CheckpointTensors

__all__ = ["Joined", "connector_tensors", "with_connectors"]

_OWN = re.compile(r"(?:^|\.)(connector\.\d+\.(?:weight|bias)|query|attn\.[\w.]+)$")


def with_connectors(tensors: CheckpointTensors, files: Mapping[str, str], folder: Path) -> Joined | CheckpointTensors:
    """The checkpoint's tensors, and those of connectors it lacks. What the checkpoint holds itself wins.

    `files`: module ("connector_image", "connector_image3d") → path, absolute or from the checkpoint's folder; one that
    is not there is passed over (the missing tensors are named later). CheckpointError for a pickle.
    """
    made: dict[str, StoredTensor] = {}
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
    return Joined(tensors, hidden, made) if made else tensors


def _candidates(folder: Path, named: str) -> list[Path]:
    """Where the file may lie; one that was converted to safetensors comes before the pickle it was made of."""
    places = [Path(named), folder / named, folder / Path(named).name]
    return [path for place in places for path in (place.with_suffix(".safetensors"), place)]


def connector_tensors(file: Path, module: str) -> dict[str, StoredTensor]:
    """Where the file's tensors lie, under the checkpoint's names (`connector_image.query`…), whatever stands before."""
    if file.suffix != ".safetensors":
        raise CheckpointError(
            f"the connector's weights are a pickle ({file.name}), which can run code when it is opened.",
            file=file,
            fix="Convert it to safetensors of the same name where you trust it.",
        )
    other = "connector_image3d." if module == "connector_image" else "connector_image."
    made: dict[str, StoredTensor] = {}
    for name, value in read_header(file).items():
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


class Joined(Mapping[str, Tensor]):
    """Tensors of the checkpoint but those `hidden`, and those of the connectors (`more`); each read when asked for."""

    def __init__(self, stored: CheckpointTensors, hidden: Collection[str], more: Mapping[str, StoredTensor]) -> None:
        self._stored, self._hidden, self._more = stored, hidden, more
        self._buffer = staging_buffer()

    def shape(self, name: str) -> tuple[int, ...]:
        """As the file's header says it."""
        return self._more[name].shape if name in self._more else self._stored.shape(name)

    def read(self, name: str, dtype: torch.dtype, device: torch.device) -> Tensor:
        """The tensor straight from its file, in `dtype` on `device`."""
        if name in self._more:
            return read_tensor(self._more[name], dtype, device, self._buffer)
        return self._stored.read(name, dtype, device)

    def rows(self, name: str, dtype: torch.dtype, device: torch.device) -> StoredRows:
        """The same for a matrix, some rows at a time."""
        if name in self._more:
            return StoredRows(self._more[name], dtype, device, self._buffer)
        return self._stored.rows(name, dtype, device)

    def __getitem__(self, name: str) -> Tensor:
        if name in self._more:
            return self.read(name, self._more[name].dtype, torch.device("cpu"))
        return self._stored[name]

    def __iter__(self) -> Iterator[str]:
        yield from (name for name in self._stored if name not in self._hidden)
        yield from (name for name in self._more if name not in self._stored)

    def __len__(self) -> int:
        return sum(1 for _ in self)
