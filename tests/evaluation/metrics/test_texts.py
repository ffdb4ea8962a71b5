"""Text metrics against their reference packages, on empty answers, and on perfect ones."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vesalius.errors import InputError, OptionError
from vesalius.evaluation.metrics.bleu import corpus_bleu, sacre_bleu, sentence_bleu
from vesalius.evaluation.metrics.cider import cider
from vesalius.evaluation.metrics.meteor import meteor
from vesalius.evaluation.metrics.normal_text import exact_matches
from vesalius.evaluation.metrics.rouge import rouge
from vesalius.evaluation.metrics.temporal import temporal_f1, temporal_keywords
from vesalius.evaluation.metrics.token_overlap import token_overlap
from vesalius.findings.normal_text import normalise, words

TRUE = [
    "the heart is enlarged and there is a small left pleural effusion",
    "no focal consolidation or pneumothorax is seen",
    "stable right upper lobe nodule measuring eight mm",
    "lines and tubes are unchanged in position since the prior study",
    "normal chest",
]
SAID = [
    "the heart is mildly enlarged with a small left effusion",
    "no consolidation and no pneumothorax",
    "stable right upper lobe nodule measuring eight mm",
    "tubes are unchanged",
    "the the the chest is clear",
]
texts = st.lists(st.text(alphabet="abcde fgh.,-\n5é", max_size=60), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("MRI.", "mri"),
        ("mri", "mri"),
        ("The  left-lung base!", "left lung base"),
        ("إِشـعاع", "اشعاع"),
        ("اشعاع", "اشعاع"),
        ("قرآنۖ", "قران"),
        ("左 肺。", "左肺"),
        ("٣ عقد", "3 عقد"),
        ("The  left\nLung!", "left lung"),
        ("A", "a"),
        ("3.5 cm", "3.5 cm"),
        ("٣٫٥ سم", "3.5 سم"),
        ("أَشِعَّة", "اشعه"),
        ("右 肺。", "右肺"),
        ("ＣＴ 扫描", "ct扫描"),
        ("patient's x-ray", "patients x ray"),
        ("...", ""),
    ],
)
def test_answers_in_their_comparable_form(text, form):
    assert normalise(text) == form


def test_exact_match_ignores_case_and_punctuation_and_nothing_matches_nothing():
    assert exact_matches(["MRI.", "", "...", None, "ct"], ["mri", "mri", "...", "a", "mri"]) == [
        True,
        False,
        False,
        False,
        False,
    ]
    assert words("右肺 nodule 3mm") == ["右", "肺", "nodule", "3mm"]


def test_tokens_are_counted_as_often_as_they_stand_there():
    found = token_overlap(["left lung base", "left left", "", "...", None], ["left lung", "left lung", "x", "x", "x"])
    assert found.precision.tolist() == [pytest.approx(2 / 3), 0.5, 0, 0, 0]
    assert found.recall.tolist() == [1, 0.5, 0, 0, 0]
    assert found.f1.tolist() == [pytest.approx(0.8), 0.5, 0, 0, 0]


@pytest.mark.parametrize("stemmer", [True, False])
@settings(deadline=None)
@given(texts, st.randoms())
def test_rouge_equals_the_reference_package(stemmer, reference, shuffler):
    from rouge_score.rouge_scorer import RougeScorer

    said = reference[:]
    shuffler.shuffle(said)
    said = [text + " running nodules\u212a enlarged" * shuffler.randint(0, 1) for text in said]
    found = rouge(said, reference, stemmer=stemmer)
    scorer = RougeScorer(list(found), use_stemmer=stemmer)
    for k, (a, b) in enumerate(zip(said, reference, strict=True)):
        for kind, score in scorer.score(b, a).items():
            assert (found[kind].precision[k], found[kind].recall[k], found[kind].f1[k]) == tuple(score)


def test_rouge_of_other_scripts_and_of_many_different_words():
    assert rouge(["右肺结节"], ["右肺结节"], language="zh")["rougeL"].f1[0] == 1
    assert rouge(["右肺"], ["左肺"], language="zh")["rouge1"].f1[0] == 0.5
    many = " ".join(f"w{k}" for k in range(60_000))  # past the range of characters that are surrogates
    assert rouge([many], [many], ["rouge2"], stemmer=False)["rouge2"].f1[0] == 1
    long = "electroencephalography electroencephalogram electroencephalographies electroen electroence"
    found = rouge([long], [long + " electroencephalograph"], stemmer=False)["rouge1"]
    assert (found.precision[0], found.recall[0]) == (1, 5 / 6)
    assert rouge([None], ["x"])["rougeL"].f1[0] == 0
    with pytest.raises(OptionError):
        rouge(["a"], ["a"], ["rouge9"])  # type: ignore[list-item]


def test_bleu_of_a_right_word_is_one_and_its_fourth_order_does_not_exist():
    found = sentence_bleu(["pneumonia"], ["pneumonia"])
    assert found.scores[0, 0] == 1
    assert found.mean(4) is None
    assert found.num_defined(1) == 1
    assert sentence_bleu([""], ["a small left effusion here"]).mean(4) == 0


def test_sentence_bleu_equals_nltk_where_every_order_is_hit():
    from nltk.translate.bleu_score import sentence_bleu as nltk_bleu

    found = sentence_bleu(SAID, TRUE, split=True).scores
    for k, (a, b) in enumerate(zip(SAID, TRUE, strict=True)):
        for n in (1, 2, 4):
            if np.isnan(found[k, n - 1]) or found[k, n - 1] == 0:
                continue
            assert found[k, n - 1] == pytest.approx(nltk_bleu([b.split()], a.split(), [1 / n] * n), abs=1e-12)


def test_corpus_bleu_and_cider_equal_the_coco_scorers():
    # Printed by pycocoevalcap 1.2 for these pairs.
    coco = (0.5597630627975873, 0.45814726934197475, 0.40589976914699766, 0.35180415859605335)
    assert corpus_bleu(SAID, TRUE, split=True) == pytest.approx(coco, abs=1e-9)
    found = cider(SAID, TRUE, split=True)
    assert found == pytest.approx([3.25753446, 1.12184552, 10, 1.37533931, 0.61829532], abs=1e-8)
    assert found.mean() == pytest.approx(3.274602920439188, abs=1e-12)
    assert cider(TRUE, TRUE, variant="CIDEr")[:4] == pytest.approx([10] * 4)


def test_sacrebleu_names_its_variant():
    score, signature = sacre_bleu(SAID, TRUE)
    assert score == pytest.approx(0.35180, abs=1e-5)
    assert "tok:13a" in signature


def test_meteor_of_exact_and_stemmed_words():
    found = meteor([*SAID, "", None], [*TRUE, "x", "x"])
    assert found == pytest.approx([0.4350907, 0.22058824, 0.99902344, 0.31660693, 0.23809524, 0, 0], abs=1e-7)
    assert meteor(["effusions"], ["effusion"])[0] == 0.5  # one word: 1 - 0.5 / 1^3


def test_perfect_texts_score_exactly_one():
    assert all((score.f1 == 1).all() for score in rouge(TRUE, TRUE).values())
    assert (token_overlap(TRUE, TRUE).f1 == 1).all()
    assert corpus_bleu(TRUE, TRUE) == (1, 1, 1, 1)
    assert sacre_bleu(TRUE, TRUE)[0] == 1
    assert sentence_bleu(TRUE, TRUE).mean(4) == 1
    assert (temporal_f1(TRUE, TRUE) == 1).all()


@pytest.mark.parametrize("scores", [lambda a, b: rouge(a, b)["rougeL"].f1, cider, meteor, temporal_f1])
def test_the_order_of_items_does_not_matter(scores):
    order = list(range(5))
    random.Random(4).shuffle(order)
    again = scores([SAID[k] for k in order], [TRUE[k] for k in order])
    assert np.asarray(scores(SAID, TRUE))[order] == pytest.approx(again, abs=1e-12)


@pytest.mark.parametrize("scores", [rouge, cider, meteor, temporal_f1, corpus_bleu, token_overlap])
def test_a_benchmark_keeps_its_empty_predictions_and_an_empty_benchmark_has_no_score(scores):
    assert len(np.atleast_1d(rouge(["", None], ["a b", "c"])["rougeL"].f1)) == 2
    with pytest.raises(InputError, match="no item"):
        scores([], [])
    with pytest.raises(InputError, match="2 predictions for 1"):
        scores(["a", "b"], ["a"])


@pytest.mark.parametrize(
    ("said", "true", "f1"),
    [
        ("Effusion has increased, opacity unchanged.", "Effusion has increased, opacity stable.", 0.5),
        ("New effusion.", "Clear lungs.", 1e-10),
        ("Heart is enlarged.", "Unchanged enlarged heart; worsening edema.", 0.5),
        ("Clear lungs.", "No effusion.", 1),
        ("", "New effusion.", 0),
        ("im-proved", "nothing", 1),
    ],
)
def test_temporal_f1(said, true, f1):
    assert temporal_f1([said], [true])[0] == pytest.approx(f1, abs=1e-9)


def test_temporal_references_are_united_and_words_are_whole():
    assert temporal_f1(["stable, new"], [["Stable.", "NEW_nodule"]])[0] == 1
    assert temporal_keywords("renewed unstable Worse\nworse") == {"worse"}
