"""How long 32 of 200 compressed CT slices take: Vesalius against pydicom decoding the whole series.

    python benchmarks/read_dicom.py [--codecs j2k jpegls] [--slices 200] [--wanted 32] [--pairs 3]

Same process, same files (warm page cache), the two sides alternating; pydicom decodes with pylibjpeg-openjpeg
(JPEG 2000) and pyjpegls (JPEG-LS). The gate: the wanted slices are equal, value by value. Prints the median, least and
greatest of the pairwise ratios of wall time, and the median ratio of processor time, which other load on the machine
disturbs less. Files are generated: ellipses of tissue and noise, 20 distinct frames over the series.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from vesalius.study.dicom import read_dicom
from vesalius.study.items import Volume

SYNTAXES = {"j2k": "1.2.840.10008.1.2.4.90", "jpegls": "1.2.840.10008.1.2.4.80"}
DISTINCT = 20


def slice_values(index: int, size: int) -> NDArray[np.int16]:
    """A body-like slice: `[size, size]` int16 in HU + noise of 12 HU, 16 bits stored."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    values = np.full((size, size), -1000.0)
    for cx, cy, rx, ry, level in (
        (0.0, 0.0, 0.85, 0.62, 40.0),
        (-0.38, -0.05, 0.28, 0.40, -820.0),
        (0.38, -0.05, 0.28, 0.40, -820.0),
        (0.05, 0.1 + index * 0.004, 0.2, 0.16, 120.0),
        (0.0, 0.45, 0.09, 0.08, 700.0),
    ):
        inside = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1
        values[inside] = level + 25 * np.cos(6 * x[inside] + 0.2 * index)
    noise = np.random.default_rng(index).normal(0, 12, values.shape)
    return np.clip(values + noise, -1024, 3071).astype(np.int16)


def write_series(folder: Path, codec: str, slices: int, size: int) -> list[str]:
    """The series as files in shuffled order of names; their paths."""
    stored = [(slice_values(n, size).astype(np.int32) + 1024).astype(np.uint16) for n in range(DISTINCT)]
    if codec == "j2k":
        frames = [imagecodecs.jpeg2k_encode(s, reversible=True, codecformat="j2k", bitspersample=16) for s in stored]
    else:
        frames = [imagecodecs.jpegls_encode(s) for s in stored]
    paths: list[str] = []
    for k, name in enumerate(np.random.default_rng(0).permutation(slices)):
        dataset = Dataset()
        dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", f"1.2.3.4.{k + 1}"
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.Modality = "1.2.3", "1.2.3.4", "CT"
        dataset.PatientID, dataset.InstanceNumber = "BENCH", k + 1
        dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [-180, -180, 1.25 * k], [1, 0, 0, 0, 1, 0]
        dataset.PixelSpacing, dataset.SliceThickness = [0.7, 0.7], 1.25
        dataset.Rows = dataset.Columns = size
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
        dataset.add_new(0x7FE00010, "OB", encapsulate([bytes(frames[k % DISTINCT])]))
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = UID(SYNTAXES[codec])
        path = folder / f"{name:04d}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        paths.append(str(path))
    return sorted(paths)


def with_pydicom(paths: list[str], wanted: list[int]) -> list[NDArray[Any]]:
    """Read and decode every file, sort by position, rescale, pick."""
    files = sorted((pydicom.dcmread(p) for p in paths), key=lambda d: float(d.ImagePositionPatient[2]))
    volume = np.stack([f.pixel_array for f in files]).astype(np.int32) - 1024
    return [volume[index] for index in wanted]


def with_vesalius(paths: list[str], wanted: list[int]) -> list[NDArray[Any]]:
    """Read headers, sort, decode the wanted slices; turned back from display to the stored rows and columns."""
    [item], _ = read_dicom(paths)
    assert isinstance(item, Volume)
    return [np.asarray(plane).T for plane in item.source.planes(2, wanted)]


def measure(codec: str, slices: int, wanted: int, pairs: int, size: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        paths = write_series(Path(folder), codec, slices, size)
        chosen = [round(v) for v in np.linspace(0, slices - 1, wanted)]
        ratios: list[float] = []
        ours: list[float] = []
        processor: list[float] = []
        for _ in range(pairs):
            begin, cpu_begin = time.perf_counter(), time.process_time()
            theirs = with_pydicom(paths, chosen)
            middle, cpu_middle = time.perf_counter(), time.process_time()
            mine = with_vesalius(paths, chosen)
            end, cpu_end = time.perf_counter(), time.process_time()
            if not all(np.array_equal(a, b) for a, b in zip(theirs, mine, strict=True)):
                raise SystemExit(f"{codec}: slices differ from pydicom's; no ratio is reported")
            ratios.append((middle - begin) / (end - middle))
            ours.append(end - middle)
            processor.append((cpu_middle - cpu_begin) / (cpu_end - cpu_middle))
    spread = f"{statistics.median(ratios):6.1f}  {min(ratios):6.1f}  {max(ratios):6.1f}"
    rest = f"{statistics.median(processor):8.1f}{statistics.median(ours):10.2f}"
    return f"{codec:8s}  {wanted:3d} of {slices:3d}  {spread}{rest}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codecs", nargs="+", choices=sorted(SYNTAXES), default=sorted(SYNTAXES))
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--wanted", type=int, default=32)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--size", type=int, default=512)
    options = parser.parse_args()
    print("codec     slices      median   least greatest     cpu  ours (s)    [pydicom decodes all / Vesalius]")
    for codec in options.codecs:
        print(measure(codec, options.slices, options.wanted, options.pairs, options.size), flush=True)


if __name__ == "__main__":
    main()
