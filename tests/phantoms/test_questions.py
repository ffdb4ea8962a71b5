"""Questions are worded in many ways, and every answer follows from the scene alone."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from vesalius.dialogue.scene_text import (
    ANATOMY,
    LABEL_ORDER,
    LOOKED_FOR,
    OBJECTS,
    Scene,
    SceneSet,
    SeenObject,
    compare_groups,
    group_objects,
    write_scene,
)
from vesalius.dialogue.words import ABNORMALITY, LABEL_NAMES, MODALITY_NAMES, REGION_NAMES
from vesalius.errors import OptionError
from vesalius.phantoms import draw_pair, draw_picture
from vesalius.phantoms.questions import (
    TASKS,
    Question,
    answer,
    balance_yes_no,
    imperfect_scene,
    make_questions,
    questions_from_scene,
    scene_of,
    wordings,
)
from vesalius.phantoms.questions_wordings import WORDINGS
from vesalius.phantoms.reports import finding_labels, report
from vesalius.phantoms.truth import LABELS, MODALITIES, REGIONS, ClipTruth, PairTruth, PlacedObject, Truth, VolumeTruth

LANGS = ("en", "zh", "ar")
SIDED = {"nodule", "mass", "consolidation", "effusion", "tumour", "haemorrhage", "cyst", "stone", "lung", "kidney"}


def random_scene(rng: random.Random) -> Scene:
    modality, region = rng.choice(list(LOOKED_FOR))
    labels = [*LOOKED_FOR[modality, region], rng.choice(LABEL_ORDER[:8])]
    objects: list[SeenObject] = []
    for label in rng.sample(labels, rng.randint(0, len(labels))):
        for _ in range(rng.choice([1, 1, 2, 3, 7])):
            x, y = rng.uniform(0, 200), rng.uniform(0, 200)
            side = rng.choice(["left", "right", "midline"]) if label in SIDED else None
            confidence = 1.0 if rng.random() < 0.9 else 0.3
            objects.append(SeenObject(label, side, rng.uniform(0.02, 90), (x, y, x + 20, y + 20), confidence))
    plane = rng.choice(["axial", "coronal"]) if modality in ("ct", "mr") else "none"
    grouping = group_objects(objects, (224, 224), plane=plane)
    return Scene(modality, plane, region, grouping.groups, grouping.maybe)


def scenes(number: int, seed: int = 0) -> list[Scene]:
    rng = random.Random(seed)
    return [random_scene(rng) for _ in range(number)]


def placed(label: str, x: int, y: int, side: str | None = None, identity: int = 0) -> PlacedObject:
    mask = np.zeros((64, 64), np.bool_)
    mask[y : y + 6, x : x + 6] = True
    return PlacedObject(label, mask, (x, y, x + 6, y + 6), (x + 3, y + 3), side, 6.0 + identity, identity)


def picture(*objects: PlacedObject) -> Truth:
    return Truth(np.zeros((64, 64), np.uint8), "ct", "axial", "chest", 1.0, objects, 0)


# Vocabulary and wordings


def test_the_vocabulary_covers_all_that_phantoms_draw() -> None:
    assert set(LABEL_ORDER) == set(LABELS)
    assert {label for label, role in LABELS.items() if role == "anatomy"} == ANATOMY
    assert {label for label, role in LABELS.items() if role == "object"} == OBJECTS
    assert set(MODALITY_NAMES) == set(MODALITIES)
    assert set(REGION_NAMES) == set(REGIONS)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_worded_in_many_ways(task: str) -> None:
    assert len(wordings(task, "en")) >= 20
    assert len(wordings(task, "zh")) >= 20
    assert len(wordings(task, "ar")) >= 20


@pytest.mark.parametrize("lang", LANGS)
def test_no_wording_serves_two_tasks(lang: str) -> None:
    said = Counter(wording for task in WORDINGS[lang] for wording in wordings(task, lang))
    assert [wording for wording, times in said.items() if times > 1] == []


@pytest.mark.parametrize("lang", LANGS)
def test_prompts_have_no_open_slots(lang: str) -> None:
    rng = random.Random(3)
    for scene in scenes(40):
        for question in questions_from_scene(scene, rng, lang):
            assert not re.search(r"[{}|]|\(\)", question.prompt)
            assert "  " not in question.prompt
            assert not re.search(r"\b(an? any|a an?|any an?)\b|\ba [aeiou]", question.prompt)


# Answers


def numbers(text: str) -> list[str]:
    return re.findall(r"\d+(?:\.\d+)?", text)


@pytest.mark.parametrize("lang", LANGS)
def test_every_number_spoken_stands_in_the_scene_text(lang: str) -> None:
    rng = random.Random(4)
    for scene in scenes(150, seed=1):
        seen = set(numbers(write_scene(scene))) | {"0", "1"}
        for question in questions_from_scene(scene, rng, lang):
            assert set(numbers(question.answer)) <= seen, question


@pytest.mark.parametrize("lang", LANGS)
def test_cited_numbers_are_those_in_the_text_and_belong_to_what_was_asked(lang: str) -> None:
    rng = random.Random(5)
    for scene in scenes(150, seed=2):
        by_number = {g.number: g for g in scene.groups}
        for question in questions_from_scene(scene, rng, lang):
            cited = [int(n) for n in re.findall(r"\[(\d+)\]", question.answer)]
            assert sorted(cited) == sorted(question.cites), question
            label = question.truth.get("label")
            if label == ABNORMALITY:
                assert {by_number[n].label for n in cited}.isdisjoint(ANATOMY | OBJECTS)
            elif label is not None:
                assert {by_number[n].label for n in cited} <= {label}


def test_counts_equal_what_is_there() -> None:
    for scene in scenes(200, seed=3):
        for label in LABEL_ORDER:
            text, cites = answer(scene, "count", label)
            assert numbers(text)[0] == str(scene.count(label))
            assert cites == tuple(g.number for g in scene.of(label))


@pytest.mark.parametrize(("lang", "yes", "no"), [("en", "Yes", "No"), ("zh", "有", "没有"), ("ar", "نعم", "لا")])
def test_yes_no_answers_begin_with_yes_or_no(lang: str, yes: str, no: str) -> None:
    rng = random.Random(6)
    for scene in scenes(150, seed=4):
        for question in questions_from_scene(scene, rng, lang, ["present"]):
            assert question.answer.startswith(yes if question.truth["present"] else no), question


def test_an_unsure_finding_is_neither_affirmed_nor_flatly_denied() -> None:
    scene = Scene("ct", "axial", "chest", maybe=("effusion",))
    assert answer(scene, "present", "effusion") == ("No clear effusion is seen; one is possible.", ())


def chest() -> Scene:
    objects = [
        SeenObject("nodule", "left", 12.0, (160, 40, 170, 50)),
        SeenObject("nodule", "right", 7.0, (60, 160, 70, 170)),
        SeenObject("heart", "left", 120.0, (90, 90, 160, 160)),
    ]
    return Scene("ct", "axial", "chest", group_objects(objects, (224, 224), plane="axial").groups)


@pytest.mark.parametrize(
    ("task", "label", "said"),
    [
        ("present", "nodule", "Yes, there are 2 nodules: on the left [2] and on the right [3]."),
        ("present", "mass", "No mass is seen."),
        ("present", ABNORMALITY, "Yes, there are 2 nodules: on the left [2] and on the right [3]."),
        ("count", "nodule", "There are 2 nodules [2] [3]."),
        ("count", "cyst", "There are 0 cysts."),
        ("side", "heart", "The heart is on the left [1]."),
        ("box", "nodule", "The nodules are here: [2] [3]."),
        ("mask", "heart", "The heart is outlined: [1]."),
        ("point", "heart", "The heart is at [1]."),
        ("size", "nodule", "They measure 12 mm [2] and 7 mm [3]."),
        ("largest", "nodule", "The largest nodule is on the left, 12 mm [2]."),
        ("modality", None, "This is a CT."),
        ("plane", None, "The plane is axial."),
        ("region", None, "It shows the chest."),
        ("unknown", None, "This cannot be told from the picture."),
        ("change", None, "There is only one picture, so change cannot be told."),
        ("describe", None, "This is an axial CT of the chest. It shows the heart [1], a nodule on the left [2] and a "
                           "nodule on the right [3]."),
        ("report", None, "Findings: Nodule on the left, 12 mm [2]. Nodule on the right, 7 mm [3]. No mass or effusion. "
                         "Impression: Nodules on the left and on the right."),
    ],
)  # fmt: skip
def test_answers_read_like_this(task: str, label: str | None, said: str) -> None:
    assert answer(chest(), task, label)[0] == said


def test_a_side_limits_the_answer() -> None:
    assert answer(chest(), "present", "nodule", side="left") == ("Yes, there is a nodule on the left [2].", (2,))
    assert answer(chest(), "present", "heart", side="right") == ("No heart is seen on the right.", ())


def test_a_wrong_modality_in_the_question_is_corrected_first() -> None:
    text, _ = answer(chest(), "premise", "mass", said="mr")
    assert text == "This is a CT, not an MRI. No mass is seen."
    assert answer(chest(), "premise", "mass", said="ct")[0] == "No mass is seen."


@pytest.mark.parametrize("lang", LANGS)
def test_without_a_picture_nothing_is_claimed(lang: str) -> None:
    rng = random.Random(7)
    said = {q.answer for q in questions_from_scene(None, rng, lang)}
    assert said == {answer(None, "present", "nodule", lang)[0], answer(None, "unknown", None, lang)[0]}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(("sing", None, "en"), "task 'sing'"), (("box", None, "fr"), "language 'fr'"), (("box", "tooth", "en"), "label")],
)
def test_unknown_tasks_languages_and_labels_are_refused(arguments: tuple[str, str | None, str], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        answer(chest(), *arguments)
    with pytest.raises(OptionError):
        questions_from_scene(chest(), random.Random(0), "en", ["sing"])


# Phantoms of all kinds


def test_questions_about_a_drawn_picture_carry_its_exact_boxes() -> None:
    for seed in range(24):
        truth = draw_picture(seed)
        boxes = {tuple(o.box) for o in truth.objects}
        for question in make_questions(truth, random.Random(seed)):
            assert ("boxes" in question.truth) == bool(question.cites)
            assert {tuple(b) for b in question.truth.get("boxes", [])} <= boxes
            assert len(question.truth.get("points", [])) == len(question.truth.get("boxes", []))


def test_the_same_seed_asks_the_same_questions() -> None:
    truth = draw_picture(3)
    assert make_questions(truth, random.Random(1), "zh") == make_questions(truth, random.Random(1), "zh")


def test_a_pair_tells_what_changed() -> None:
    prior = picture(
        placed("nodule", 5, 5, "right", 1), placed("mass", 40, 40, "left", 2), placed("lung", 0, 0, "right")
    )
    current = picture(placed("nodule", 5, 5, "right", 4), placed("effusion", 40, 50, "left", 3))
    prior_nodule, current_nodule = prior.objects[0], current.objects[0]
    assert (prior_nodule.size_mm, current_nodule.size_mm) == (7.0, 10.0)
    current = picture(replace(current_nodule, identity=1), *current.objects[1:])
    truth = PairTruth(prior, current, (("nodule", 1, "grown"), ("mass", 2, "resolved"), ("effusion", 3, "new")), 0)
    scene = scene_of(truth)
    assert isinstance(scene, SceneSet)
    assert answer(scene, "change")[0] == (
        "The nodule on the right has grown from 7 mm to 10 mm [2] [4]. The mass on the left is gone [3]. "
        "The effusion on the left is new [5]."
    )
    assert answer(scene, "change", "mass")[1] == (3,)
    assert answer(scene, "change", "cyst")[0] == "No cyst is seen."
    assert answer(scene, "compare")[0] == (
        "Image 1: a nodule on the right [2] and a mass on the left [3]. "
        "Image 2: a nodule on the right [4] and an effusion on the left [5]."
    )
    seen = compare_groups(scene.scenes[0].groups, scene.scenes[1].groups)
    assert {(c.label, c.change) for c in seen} == {(c.label, c.change) for c in scene.changes}
    assert {q.task for q in make_questions(truth, random.Random(0))} >= {"change", "compare"}


def test_a_volume_names_the_slices_of_a_finding() -> None:
    instances = np.zeros((16, 16, 20), np.int16)
    instances[3:6, 4:7, 8:13] = 1
    labels = np.where(instances > 0, 2, 1).astype(np.uint8)
    truth = VolumeTruth(
        np.zeros((16, 16, 20), np.int16), np.eye(4), labels, instances, ("lung", "nodule"), "ct", "chest", 0,
        ("nodule",), ("left",), (5.0,),
    )  # fmt: skip
    scene = scene_of(truth)
    assert write_scene(scene) == (
        "ct volume of 20 slices axial chest | [1] lung | [2] nodule left 5 mm slices 8-12 | none: mass, effusion"
    )
    assert answer(scene, "slices", "nodule") == ("It is on slices 8 to 12 [2].", (2,))
    assert "slices" in {q.task for q in make_questions(truth, random.Random(0))}


def test_a_clip_names_what_moves() -> None:
    frames = tuple(
        Truth(np.zeros((64, 64), np.uint8), "endoscopy", "none", "bowel", 1.0, (placed("polyp", 5 + k, 5, None, 1),), 0)
        for k in range(4)
    )
    truth = ClipTruth(frames, (0.0, 0.1, 0.2, 0.3), {"polyp": "moving"}, 0)
    scene = scene_of(truth)
    assert write_scene(scene) == "endoscopy clip of 4 frames bowel | [1] polyp 7 mm top left moving | none: instrument"
    assert answer(scene, "motion", "polyp") == ("The polyp is moving [1].", (1,))
    assert answer(chest(), "motion", "nodule")[0] == "Motion cannot be told from a single picture."


def test_changes_found_by_comparing_are_those_that_were_drawn() -> None:
    agreed = 0
    for seed in range(12, 24):
        scene = scene_of(draw_pair(seed))
        assert isinstance(scene, SceneSet)
        found = compare_groups(scene.scenes[0].groups, scene.scenes[1].groups)
        agreed += Counter((c.label, c.change) for c in found) == Counter((c.label, c.change) for c in scene.changes)
    assert agreed >= 11


def test_change_of_anatomy_is_not_made_up() -> None:
    lung = picture(placed("lung", 0, 0, "right"))
    scene = scene_of(PairTruth(lung, lung, (), 0))
    assert answer(scene, "change", "lung") == ("This cannot be told from the picture.", ())
    assert answer(scene, "change") == ("Nothing has changed.", ())


def test_imperfect_scenes_hold_all_that_real_ones_do() -> None:
    rng = random.Random(9)
    made = [imperfect_scene(truth, rng) for truth in map(draw_picture, range(40)) for _ in range(5)]
    assert any(scene.maybe for scene in made)
    assert any(scene.modality == "unknown" for scene in made)
    assert any(scene.findings and all(g.size_mm is None for g in scene.groups) for scene in made)
    for scene in made:
        for question in questions_from_scene(scene, rng, "en"):
            assert set(numbers(question.answer)) <= set(numbers(write_scene(scene))) | {"0", "1"}


# Balance


def test_yes_and_no_are_balanced_for_every_label() -> None:
    rng = random.Random(8)
    made: list[Question] = []
    for scene in scenes(400, seed=5):
        made += questions_from_scene(scene, rng, "en", ["present", "count"])
    kept = balance_yes_no(made, rng)
    yes = Counter(q.truth["label"] for q in kept if q.task == "present" and q.truth["present"])
    no = Counter(q.truth["label"] for q in kept if q.task == "present" and not q.truth["present"])
    assert yes == no
    assert sum(yes.values()) > 100
    assert [q for q in kept if q.task == "count"] == [q for q in made if q.task == "count"]


# Reports


@pytest.mark.parametrize("lang", LANGS)
def test_findings_read_back_from_a_report_are_those_of_the_scene(lang: str) -> None:
    for scene in scenes(300, seed=6):
        wanted = {(g.label, g.side) for g in scene.findings}
        written = report(scene, lang)
        assert finding_labels(written.findings, lang) == wanted, written
        whole = f"{written.findings}\n{written.impression}"
        assert {label for label, _ in finding_labels(whole, lang)} == {label for label, _ in wanted}, written


@pytest.mark.parametrize(
    ("lang", "text", "found"),
    [
        ("en", "No pleural effusion or consolidation.", set()),
        ("en", "There is no nodule but a mass in the left lung.", {("mass", "left")}),
        ("en", "Effusion is not seen. Bilateral nodules.", {("nodule", "left"), ("nodule", "right")}),
        ("en", "The haematoma has resolved.", set()),
        ("en", "A left-sided effusion and a right nodule.", {("effusion", "left"), ("nodule", "right")}),
        ("en", "8 mm nodule in the right lung; negative for hemorrhage", {("nodule", "right")}),
        ("en", "Polyp at the top left of the picture.", {("polyp", None)}),
        ("en", "The lungs are clear. A surgical tool.", set()),
        ("en", "Massive. Nodular. Moles", {("mole", None)}),
        ("zh", "左侧胸腔积液，未见结节。", {("effusion", "left")}),
        ("zh", "双侧结节。无出血。", {("nodule", "left"), ("nodule", "right")}),
        ("ar", "لا دليل على انصباب. عقدة في الجهة اليمنى.", {("nodule", "right")}),
        ("ar", "توجد كتلة في اليسار ولا يوجد نزيف", {("mass", "left")}),
    ],
)
def test_free_text_is_read_with_its_negations(lang: str, text: str, found: set[tuple[str, str | None]]) -> None:
    assert finding_labels(text, lang) == found


def test_all_labels_have_a_say_in_every_language() -> None:
    for label in LABEL_NAMES:
        for lang in LANGS:
            for task in TASKS:
                assert answer(chest(), task, label, lang)[0]
