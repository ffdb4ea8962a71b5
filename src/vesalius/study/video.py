"""Video through PyAV: MP4, MOV, AVI, MKV, WebM, MPEG.

Reading a file only demultiplexes it: the time of every frame, and the pixels of the first. Frames are decoded when
asked for; between two wanted frames the decoder jumps to a key frame if one lies on the way, else it goes through,
converting only the wanted ones to RGB. Stretches between such jumps depend on nothing outside them and are decoded
side by side. The container format is fixed from the sniffed content, so that play lists and other formats that name
further files or addresses are never opened.
"""

from __future__ import annotations

import bisect
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError, LimitError, VesaliusError
from vesalius.limits import current, usable_cores
from vesalius.study.gzip_stream import ByteSource
from vesalius.study.items import Clip, Item, Origin

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = ["CONTAINERS", "read_video"]

CONTAINERS = {"mp4": "mov", "matroska": "matroska", "avi": "avi", "mpegts": "mpegts", "mpegps": "mpeg"}
"""Sniffed kind → FFmpeg's name of the only demuxer tried."""

_INDEXED = ("mp4", "matroska", "avi")
"""Kinds with an index of key frames. In the others FFmpeg seeks by guessing and may land behind the frame it sought."""

_JUMP = 12
"""Frames to be skipped above which a seek (which drains the decoder's threads) is cheaper than decoding."""

_SHARE = 32
"""Frames to be gone through for which one more decoder, which has to open the file, is worth it."""

_DENSE = 0.1
"""Bits per pixel above which decoding is worth several threads; below, handing frames between them costs more than
they save when most frames are skipped."""


@contextmanager
def _opened(source: ByteSource, kind: str) -> Generator[InputContainer]:
    import av
    import av.error
    import av.logging

    av.logging.set_level(None)
    try:
        # "file:" keeps FFmpeg from reading a name with a colon as an address.
        if source.path is not None:
            container = av.open(f"file:{source.path}", "r", CONTAINERS[kind], metadata_errors="ignore")
            with container:
                yield container
        else:
            with source.opened() as file, av.open(file, "r", CONTAINERS[kind], metadata_errors="ignore") as container:
                yield container
    except VesaliusError:
        raise
    except (av.error.FFmpegError, OSError, ValueError, IndexError, AssertionError) as exc:
        raise InputError("is a damaged or incomplete video.", file=source.name, fix="Copy or export it again.") from exc


@dataclass(frozen=True)
class _Track:
    """What demultiplexing found: presentation time stamps ascending (units of `base`), which are key frames, and the
    size of all packets."""

    stamps: list[int]
    keys: list[int]
    base: float
    stamped: bool
    num_bytes: int


@dataclass
class _VideoFrames:
    """Decodes chosen frames of one video; callable as `Clip.load`."""

    source: ByteSource
    kind: str
    width: int
    height: int
    track: _Track = field(repr=False)

    def __call__(self, indices: Sequence[int]) -> list[NDArray[np.uint8]]:
        count = len(self.track.stamps)
        for index in indices:
            if not 0 <= index < count:
                raise IndexError(f"frame {index} is outside 0..{count - 1}")
        wanted = sorted(set(indices))
        size = len(wanted) * self.width * self.height * 3
        if size > current().max_decoded_bytes:
            raise LimitError(
                f"{len(wanted)} frames of {self.width} x {self.height} are too many at once.",
                file=self.source.name,
                fix="Ask for fewer frames.",
            )
        cores = usable_cores()
        parts = self._parts(wanted, cores)
        bits_per_pixel = 8 * self.track.num_bytes / (count * self.width * self.height)
        threads = "AUTO" if bits_per_pixel > _DENSE and len(parts) < cores else "NONE"
        frames: dict[int, NDArray[np.uint8]] = {}
        if len(parts) < 2:
            frames = self._decoded(wanted, threads)
        else:
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(len(parts)) as pool:
                for found in pool.map(lambda part: self._decoded(part, threads), parts):
                    frames |= found
        missing = [index for index in wanted if index not in frames]
        if missing:
            raise InputError(
                f"frame {missing[0]} of {count} cannot be decoded.", file=self.source.name, fix="Export it again."
            )
        return [frames[index] for index in indices]

    def _decoded(self, wanted: Sequence[int], threads: str) -> dict[int, NDArray[np.uint8]]:
        """Those of the frames `wanted` (ascending) that can be decoded, by one decoder with a file of its own."""
        frames: dict[int, NDArray[np.uint8]] = {}
        with _opened(self.source, self.kind) as container:
            stream = container.streams.video[0]
            stream.thread_type = threads
            stamps = {self.track.stamps[index] for index in wanted}
            position = 0
            decoder = self._numbered(container, 0, stamps)
            for index in wanted:
                if self._jumps(position, index):
                    key = self._key_before(index)
                    container.seek(self.track.stamps[key], stream=stream, backward=True)
                    decoder = self._numbered(container, key, stamps)
                for position, frame in decoder:
                    if position >= index:
                        if position == index:
                            frames[index] = _upright(frame)
                        break
        return frames

    def _parts(self, wanted: list[int], cores: int) -> list[list[int]]:
        """`wanted` in at most `cores` pieces, cut only where a decoder jumps anyway, of about equally much decoding."""
        stretches: list[list[int]] = []
        for index in wanted:
            if not stretches or self._jumps(stretches[-1][-1], index):
                stretches.append([])
            stretches[-1].append(index)
        lengths = [stretch[-1] - self._key_before(stretch[0]) + 1 for stretch in stretches]
        total = sum(lengths)
        num_parts = max(1, min(cores, total // _SHARE))
        parts: list[list[int]] = [[] for _ in range(num_parts)]
        gone = 0
        for stretch, length in zip(stretches, lengths, strict=True):
            parts[min(num_parts - 1, (2 * gone + length) * num_parts // (2 * total))] += stretch
            gone += length
        return [part for part in parts if part]

    def _jumps(self, position: int, index: int) -> bool:
        """Whether a decoder that stands at one frame gets to another by way of a key frame in between."""
        return self.kind in _INDEXED and self.track.stamped and self._key_before(index) - position > _JUMP

    def _key_before(self, index: int) -> int:
        place = bisect.bisect_right(self.track.keys, index)
        return self.track.keys[place - 1] if place else 0

    def _numbered(self, container: InputContainer, start: int, wanted: set[int]) -> Iterator[tuple[int, Any]]:
        """(frame number, frame) in presentation order. Numbers come from time stamps where the file has them."""
        stamps = self.track.stamps
        if not self.track.stamped:
            yield from enumerate(container.decode(video=0), start)
            return
        stream = container.streams.video[0]
        for packet in container.demux(stream):
            # Frames no other frame refers to are not even decoded unless they are wanted themselves.
            unwanted = packet.pts is not None and packet.pts not in wanted
            stream.codec_context.skip_frame = "NONREF" if unwanted else "DEFAULT"
            for frame in cast("list[Any]", packet.decode()):
                place = -1 if frame.pts is None else bisect.bisect_left(stamps, frame.pts)
                if 0 <= place < len(stamps) and stamps[place] == frame.pts:
                    yield place, frame


def _upright(frame: Any) -> NDArray[np.uint8]:
    """`[H, W, 3]` uint8 RGB, turned as the file's display matrix says."""
    quarter_turns = round(float(frame.rotation) / 90) % 4
    rgb = cast("NDArray[np.uint8]", frame.to_ndarray(format="rgb24"))
    return np.ascontiguousarray(np.rot90(rgb, quarter_turns)) if quarter_turns else rgb


def read_video(source: ByteSource, kind: str, *, modality: str | None = None) -> tuple[list[Item], list[str]]:
    """Read frame times and decode the first frame's size. `kind`: a key of `CONTAINERS`.

    Raises InputError for a file without a picture track, without frames or cut short; LimitError for one longer than
    `max_clip_s`, with more than `max_frames` or larger than `max_pixels`.
    """
    caps, name = current(), source.name
    with _opened(source, kind) as container:
        seconds = (container.duration or 0) / 1_000_000
        if seconds > caps.max_clip_s:
            raise LimitError(f"lasts {seconds:.0f} s; the limit is {caps.max_clip_s:.0f} s.", file=name, fix="Cut it.")
        streams = [s for s in container.streams.video if not int(s.disposition) & 0x400]  # 0x400: a cover picture
        if not streams:
            raise InputError("holds no moving picture (audio only?).", file=name)
        stream = streams[0]
        width, height = int(stream.codec_context.width), int(stream.codec_context.height)
        if width * height > caps.max_pixels:
            raise LimitError(f"is {width} x {height}; the limit is {caps.max_pixels} pixels.", file=name)
        track, first = _demultiplex(container, name)
        codec = str(stream.codec_context.name)
        if first is None:
            raise InputError("holds no frame that can be decoded.", file=name, fix="Export it again.")
        turned = round(float(first.rotation) / 90) % 2 == 1
        width, height = (first.height, first.width) if turned else (first.width, first.height)
    times = (np.asarray(track.stamps, dtype=np.float64) - track.stamps[0]) * track.base
    if times[-1] > caps.max_clip_s:
        raise LimitError(f"lasts {times[-1]:.0f} s; the limit is {caps.max_clip_s:.0f} s.", file=name, fix="Cut it.")
    origin = Origin(kind, source.files, modality, details={"codec": codec})
    return [Clip(width, height, times, _VideoFrames(source, kind, width, height, track), origin)], []


def _demultiplex(container: InputContainer, name: str) -> tuple[_Track, Any]:
    """The track and its first frame, None if there is none; nothing behind that frame is decoded."""
    first: Any = None
    stream = container.streams.video[0]
    base = float(stream.time_base) if stream.time_base else 1.0
    presented: list[tuple[int, bool]] = []
    decoded: list[tuple[int, bool]] = []
    cap, num_bytes = current().max_frames, 0
    for packet in container.demux(stream):
        if first is None:
            first = next(iter(cast("list[Any]", packet.decode())), None)
        if packet.size == 0 or packet.is_discard:
            continue
        if len(decoded) >= cap:
            raise LimitError(f"holds more than {cap} frames.", file=name, fix="Cut it.")
        num_bytes += packet.size
        decoded.append((len(decoded) if packet.dts is None else packet.dts, packet.is_keyframe))
        if packet.pts is not None:
            presented.append((packet.pts, packet.is_keyframe))
    if not decoded:
        raise InputError("holds no frame.", file=name, fix="Export it again.")
    stamped = len(presented) == len(decoded) and len({stamp for stamp, _ in presented}) == len(presented)
    ordered = sorted(presented if stamped else decoded)
    keys = [place for place, (_, key) in enumerate(ordered) if key]
    return _Track([stamp for stamp, _ in ordered], keys, base, stamped, num_bytes), first
