"""MedMNIST, the 2D sets with one label a picture: `<name>.npz` or `<name>_<size>.npz` (zenodo.org), one or several in
the folder, each with `<split>_images` `[N, H, W(, 3)]` uint8 and `<split>_labels` `[N, 1]`. The answer is the class's
name; the question lists them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vesalius.errors import InputError, LimitError
from vesalius.evaluation.benchmarks.prompts import Style, ask_closed, in_styles, template_id
from vesalius.evaluation.benchmarks.rows import find_tables
from vesalius.evaluation.benchmarks.twin_files import write_bytes
from vesalius.evaluation.benchmarks.twin_questions import picture_scene, truths
from vesalius.evaluation.contract import Benchmark, Medium, Sample
from vesalius.limits import current

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BENCHMARKS", "CLASSES"]

_ORGANS = (
    "bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right",
    "liver", "lung-left", "lung-right", "pancreas", "spleen",
)  # fmt: skip
CLASSES: dict[str, tuple[str, ...]] = {
    "pathmnist": (
        "adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle", "normal colon mucosa",
        "cancer-associated stroma", "colorectal adenocarcinoma epithelium",
    ),
    "dermamnist": (
        "actinic keratoses and intraepithelial carcinoma", "basal cell carcinoma", "benign keratosis-like lesions",
        "dermatofibroma", "melanoma", "melanocytic nevi", "vascular lesions",
    ),
    "octmnist": ("choroidal neovascularization", "diabetic macular edema", "drusen", "normal"),
    "pneumoniamnist": ("normal", "pneumonia"),
    "retinamnist": ("0", "1", "2", "3", "4"),
    "breastmnist": ("malignant", "normal, benign"),
    "bloodmnist": (
        "basophil", "eosinophil", "erythroblast",
        "immature granulocytes(myelocytes, metamyelocytes and promyelocytes)", "lymphocyte", "monocyte", "neutrophil",
        "platelet",
    ),
    "tissuemnist": (
        "Collecting Duct, Connecting Tubule", "Distal Convoluted Tubule", "Glomerular endothelial cells",
        "Interstitial endothelial cells", "Leukocytes", "Podocytes", "Proximal Tubule Segments",
        "Thick Ascending Limb",
    ),
    "organamnist": _ORGANS,
    "organcmnist": _ORGANS,
    "organsmnist": _ORGANS,
}  # fmt: skip
"""Set → names of its classes, by label. ChestMNIST has several labels a picture and is not among them."""


def _read(style: Style, folder: Path, split: str) -> Iterator[Sample]:
    paths = [path for path in find_tables(folder, ("*mnist*.npz",)) if path.stem.partition("_")[0] in CLASSES]
    if not paths:
        raise InputError(f"holds none of {', '.join(CLASSES)}.", file=folder, fix="Name the files as published.")
    for path in paths:
        yield from _samples(style, path, split)


def _samples(style: Style, path: Path, split: str) -> Iterator[Sample]:
    name = path.stem.partition("_")[0]
    classes = CLASSES[name]
    images, labels = _arrays(path, split)
    question = f"Which of these does the picture show: {'; '.join(classes)}?"
    if name == "retinamnist":
        question = f"Which grade of diabetic retinopathy does the picture show: {'; '.join(classes)}?"
    for k in range(len(images)):
        label = int(labels[k])
        if not 0 <= label < len(classes):
            raise InputError(f"{split}_labels[{k}] is {label}, not from 0 to {len(classes) - 1}.", file=path)
        yield Sample(
            id=f"{path.stem}-{split}-{k}",
            kind="closed",
            question=question,
            prompt=ask_closed(question, style),
            media=(Medium("image", _png(images[k])),),
            gold=classes[label],
            tags={"dataset": name},
            extra={"classes": classes},
        )


def _arrays(path: Path, split: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Pictures `[N, H, W(, 3)]` uint8 and labels `[N]`."""
    import numpy as np

    keys = (f"{split}_images", f"{split}_labels")
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(one.file_size for one in packed.infolist() if one.filename.removesuffix(".npy") in keys)
        if size > current().max_decoded_bytes:
            raise LimitError(f"unpacks to {size} bytes, over the limit of {current().max_decoded_bytes}.", file=path)
        with np.load(path, allow_pickle=False) as arrays:
            if absent := [key for key in keys if key not in arrays]:
                raise InputError(f"has no array {' or '.join(absent)}.", file=path, fix="Get the file again.")
            images, labels = (arrays[key] for key in keys)
    except (zipfile.BadZipFile, ValueError, EOFError, OSError) as exc:
        raise InputError("is not a readable .npz file.", file=path, fix="Get the file again.") from exc
    if not len(images):
        raise InputError(f"{keys[0]} holds no pictures.", file=path, fix="Get the file again.")
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3):
        raise InputError(f"{keys[0]} is {images.dtype} {list(images.shape)}, not uint8 [N, H, W(, 3)].", file=path)
    if labels.shape not in ((len(images), 1), (len(images),)) or labels.dtype.kind not in "iu":
        raise InputError(f"{keys[1]} is {labels.dtype} {list(labels.shape)}, not one number a picture.", file=path)
    return images, labels.reshape(-1)


def _png(pixels: NDArray[Any]) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()


def _twin(folder: Path, count: int, seed: int) -> None:
    """Generated radiographs as `pneumoniamnist.npz`, 28 × 28: those that show something abnormal stand for
    pneumonia."""
    import numpy as np
    from PIL import Image

    images: list[Any] = []
    labels: list[list[int]] = []
    for truth in truths("medmnist", count, seed, ("xray",)):
        images.append(np.asarray(Image.fromarray(truth.pixels).convert("L").resize((28, 28), Image.Resampling.BOX)))
        labels.append([int(bool(picture_scene(truth).findings))])
    # Not np.savez: it stamps the time into the file.
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for key, value in (("test_images", np.stack(images)), ("test_labels", np.asarray(labels, np.uint8))):
            array = io.BytesIO()
            np.save(array, value, allow_pickle=False)
            file.writestr(zipfile.ZipInfo(f"{key}.npy", (1980, 1, 1, 0, 0, 0)), array.getvalue())
    write_bytes(folder / "pneumoniamnist.npz", packed.getvalue())


def _benchmark(style: Style) -> Benchmark:
    return Benchmark(
        name="medmnist",
        title="MedMNIST, 2D sets",
        group="2d",
        splits=("test", "val", "train"),
        template=template_id("cl", style),
        primary="accuracy",
        read=partial(_read, style),
        twin=_twin,
        files="`<set>.npz` or `<set>_<size>.npz`",
        source="https://zenodo.org/records/10519652",
        licence="CC BY 4.0; DermaMNIST CC BY-NC 4.0",
    )


BENCHMARKS = {"medmnist": in_styles(_benchmark)}
