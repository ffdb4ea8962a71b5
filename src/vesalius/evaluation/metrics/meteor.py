"""METEOR by nltk's scorer, in two variants: "exact+stem", which needs no data, and with WordNet's synonyms, which needs
a folder with WordNet's files.

Neither needs Java, and neither compares with the other or with METEOR 1.5. alpha 0.9, beta 3, gamma 0.5: a perfect
answer of m words scores 1 - 0.5 / m^3, not 1.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError, WeightsMissingError
from vesalius.evaluation.metrics.aligned import aligned_texts
from vesalius.evaluation.packages import package
from vesalius.findings.normal_text import words

__all__ = ["METEOR_WORDNET", "meteor", "meteor_wordnet"]

METEOR_WORDNET = "meteor_wordnet"
"""Name of `vesalius score --metric`."""
_FILES = ("lexnames", *(f"{kind}.{part}" for kind in ("data", "index") for part in ("adj", "adv", "noun", "verb")))


class _NoSynonyms:
    """Stands where nltk asks its WordNet."""

    def synsets(self, word: str) -> list[Any]:
        return []


class _CachedStems:
    """Porter stems, each made once."""

    def __init__(self) -> None:
        self.stem = lru_cache(maxsize=65536)(package("nltk.stem.porter", "METEOR").PorterStemmer().stem)


def meteor(predicted: Sequence[str | None], reference: Sequence[str]) -> NDArray[np.float64]:
    """Score per pair [n] in [0, 1) of exact and stemmed matches; an empty prediction scores 0."""
    return _scores(predicted, reference, _NoSynonyms())


def meteor_wordnet(
    predicted: Sequence[str | None], reference: Sequence[str], folder: str | None = None
) -> NDArray[np.float64]:
    """Score per pair [n] in [0, 1), words that share a set of synonyms matching too. `folder`: WordNet's `data.*`,
    `index.*` and `lexnames`, with their own line ends. Raises WeightsMissingError where they are not, InputError where
    nltk refuses to read them."""
    place = _wordnet_folder(folder)
    data: Any = package("nltk.data", "METEOR")
    if str(place) not in data.path:  # nltk reads below these folders alone
        data.path.append(str(place))
    with ExitStack() as files:
        try:
            with warnings.catch_warnings():  # of the languages that are not there
                warnings.simplefilter("ignore")
                wordnet = _wordnet_reader(files)(data.FileSystemPathPointer(str(place)), None)
        except PermissionError as exc:
            raise InputError(
                "nltk does not read WordNet's files: another account owns them or may write them.",
                file=place,
                fix="Run: chmod -R go-w on the folder, or copy it.",
            ) from exc
        return _scores(predicted, reference, _CachedSynonyms(wordnet, place))


def _wordnet_reader(files: ExitStack) -> Any:
    """nltk's reader, whose files are closed with `files`: it keeps them open itself, and closes none."""
    reader = package("nltk.corpus.reader", "METEOR").WordNetCorpusReader

    class WordNetAlone(reader):
        def open(self, file: str) -> Any:
            return files.enter_context(super().open(file))

        def map_wn(self, version: str = "wordnet") -> None:
            """nltk would look for a second copy, to translate sense numbers that METEOR never asks for."""

    return WordNetAlone


class _CachedSynonyms:
    """WordNet's sets of synonyms, each word looked up once."""

    def __init__(self, wordnet: Any, place: Path) -> None:
        def synsets(word: str) -> list[Any]:
            with warnings.catch_warnings():  # of a set that is not where the index says
                warnings.simplefilter("ignore")
                found = wordnet.synsets(word)
            if any(one is None for one in found):
                raise InputError(
                    "WordNet's index and data do not fit together.",
                    file=place,
                    fix="Copy the files again, without changing their line ends.",
                )
            return found

        self.synsets = lru_cache(maxsize=65536)(synsets)


def _wordnet_folder(given: str | None) -> Path:
    if given is not None and all((Path(given) / name).is_file() for name in _FILES):
        return Path(given).resolve()
    raise WeightsMissingError(
        "the data of METEOR with synonyms (WordNet's data.*, index.* and lexnames) are not there.",
        file=given,
        fix=f"Get WordNet 3.0 from wordnet.princeton.edu and name its dict folder: --metric {METEOR_WORDNET}=DIR.",
    )


def _scores(predicted: Sequence[str | None], reference: Sequence[str], synonyms: Any) -> NDArray[np.float64]:
    said, truth = aligned_texts(predicted, reference)
    score = package("nltk.translate.meteor_score", "METEOR").single_meteor_score
    stems = _CachedStems()
    return np.array(
        [
            score(b, a, stemmer=stems, wordnet=synonyms) if a and b else 0.0
            for a, b in zip(map(words, said), map(words, truth), strict=True)
        ]
    )
