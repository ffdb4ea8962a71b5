"""Moving phantoms: polyps under a moving endoscope, pulsating cysts in ultrasound, wandering cells."""

from __future__ import annotations

from vesalius.errors import OptionError
from vesalius.phantoms.canvas import Plan
from vesalius.phantoms.dice import Dice
from vesalius.phantoms.pictures import draw_plan, plan_of
from vesalius.phantoms.shapes import circle_points
from vesalius.phantoms.truth import LABELS, ClipTruth, Truth

__all__ = ["CLIP_MODALITIES", "draw_clip"]

CLIP_MODALITIES = ("endoscopy", "ultrasound", "microscopy")

_MAX_FRAMES = 4096


def draw_clip(
    seed: int, num_frames: int = 16, size: tuple[int, int] = (224, 224), modality: str | None = None
) -> ClipTruth:
    """Draw clip number `seed`: the same arguments give the same bytes everywhere.

    `num_frames`: 2 to 4096.  `size`: (height, width).  `modality`: one of `CLIP_MODALITIES`, None for any.  Objects
    keep their identity over the frames; `motion` says for every label of the clip that is not anatomy whether one of
    them moves over the picture or pulsates, "moving", or not, "still".  Raises OptionError for what cannot be drawn.
    """
    if not 2 <= num_frames <= _MAX_FRAMES:
        raise OptionError(f"a clip of {num_frames} frames cannot be drawn.", fix=f"Use 2 to {_MAX_FRAMES}.")
    if modality is not None and modality not in CLIP_MODALITIES:
        raise OptionError(f"no clip of modality {modality!r} can be drawn.", fix=f"Use {', '.join(CLIP_MODALITIES)}.")
    (dice,) = Dice.rows(seed, 8001, 1, 400)
    chosen = modality or dice.pick(CLIP_MODALITIES)
    rest = plan_of(seed, size)
    draw_plan(rest, chosen)
    rate = dice.between(5.0, 30.0)
    path = _Path(dice, chosen, num_frames)
    frames: list[Truth] = []
    for index in range(num_frames):
        plan = Plan(seed, rest.size, attempts=rest.attempts, follow=True, noise=index + 1)
        path.at(plan, index)
        frames.append(draw_plan(plan, chosen))
    times = tuple(round(index / rate, 4) for index in range(num_frames))
    found = {o.label for frame in frames for o in frame.objects if LABELS[o.label] != "anatomy"}
    motion = {
        label: "moving" if path.moves(label) and _seen_moving(frames, label) else "still" for label in sorted(found)
    }
    return ClipTruth(tuple(frames), times, motion, seed)


def _seen_moving(frames: list[Truth], label: str) -> bool:
    """Whether some object of this label is shifted by 2 % of the picture or changes its diameter by 8 %."""
    tracks: dict[int, list[tuple[float, float, float]]] = {}
    for frame in frames:
        for thing in frame.of(label):
            x0, y0, x1, y1 = thing.box
            tracks.setdefault(thing.identity, []).append(((x0 + x1) / 2, (y0 + y1) / 2, thing.size_mm))
    reach = 0.02 * min(frames[0].pixels.shape[:2])
    for track in tracks.values():
        xs, ys, sizes = ([place[k] for place in track] for k in range(3))
        if max(max(xs) - min(xs), max(ys) - min(ys)) >= reach or max(sizes) >= 1.08 * min(sizes):
            return True
    return False


class _Path:
    """Where camera and findings are at each frame of a clip."""

    def __init__(self, dice: Dice, modality: str, num_frames: int) -> None:
        self.modality, self.num_frames = modality, num_frames
        self.still = dice.chance(0.35)
        c, s = circle_points(dice.unit())
        reach = dice.between(0.12, 0.25)
        self.camera = c * reach, s * reach
        self.period = dice.between(6.0, 14.0)
        self.swing = dice.between(0.15, 0.3)
        self.speeds = [
            (c * speed, s * speed)
            for (c, s), speed in ((circle_points(dice.unit()), dice.between(0.25, 0.7)) for _ in range(12))
        ]

    def at(self, plan: Plan, index: int) -> None:
        """Set a plan to frame `index`."""
        if self.still:
            return
        part = index / (self.num_frames - 1) - 0.5
        if self.modality == "endoscopy":
            plan.camera = (self.camera[0] * part, self.camera[1] * part, 1.0)
        elif self.modality == "ultrasound":
            beat = circle_points(index / self.period)[1]
            plan.scales = dict.fromkeys(range(4, 10), 1.0 + self.swing * beat)
        else:
            plan.moves = {
                identity: (self.speeds[identity][0] * part, self.speeds[identity][1] * part) for identity in range(12)
            }

    def moves(self, label: str) -> bool:
        """Whether objects of this label are set in motion."""
        moving = {"endoscopy": "polyp", "ultrasound": "cyst", "microscopy": "cell"}[self.modality]
        return label == moving and not self.still
