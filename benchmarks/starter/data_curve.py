"""What more pictures bring the head: trained as long on few pictures as on many, asked about the same others.

Every head begins with the same weights and sees as many pictures, so few of them often or many of them seldom. The
measures are those of `benchmarks.starter.curve`; the last column is the average precision on pictures that were trained
on, at most as many as are asked.

python -m benchmarks.starter.data_curve runs/data-curve [--pictures 500 1500 4500] [--steps 700]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from benchmarks.starter.curve import first_of, mask_dice, over_findings
from vesalius.models.parts.see_head import SeeHead
from vesalius.models.starter.config import load_config
from vesalius.models.starter.eyes import see_config
from vesalius.models.starter.starter import WEIGHTS
from vesalius.models.starter_base.lean import lean_encoder
from vesalius.training.recipe import SayStage, SeeStage, StarterRecipe
from vesalius.training.starter.see import train_see
from vesalius.training.starter.see_encode import encode_calibration, encode_phantoms, picture_encoder


def main() -> None:
    """One line per number of pictures. What the folder already holds is not done again."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("run", type=Path)
    options.add_argument("--pictures", type=int, nargs="+", default=[500, 1500, 4500])
    options.add_argument("--steps", type=int, default=700)
    given = options.parse_args()
    if min(given.pictures) < 500:
        options.error("fewer than 500 pictures hold too few of most findings to measure.")
    run: Path = given.run
    recipe = StarterRecipe(out=str(run), see=SeeStage(pictures=max(given.pictures)), say=SayStage())
    config = load_config(WEIGHTS)
    encode = picture_encoder(lean_encoder(), config, bf16=recipe.bf16)
    asked = encode_calibration(recipe, config, encode)
    shards = encode_phantoms(recipe, config, encode, lambda line: print(line, flush=True))
    print("| pictures | seen each | average precision | best F1 | mask Dice | average precision where trained |")
    print("|---|---|---|---|---|---|", flush=True)
    for count in given.pictures:
        torch.manual_seed(recipe.seed)
        head, some = SeeHead(see_config(config)), first_of(shards, count)
        train_see(
            head, some, run / f"see-{count}", steps=given.steps, batch=recipe.see.batch,
            learning_rate=recipe.see.learning_rate, seed=recipe.seed, bf16=recipe.bf16,
        )  # fmt: skip
        head.eval()
        precision, f1 = over_findings(head, asked)
        known, _ = over_findings(head, first_of(some, min(count, len(asked)))[0])
        values = " | ".join(f"{value:.3f}" for value in (precision, f1, mask_dice(head, asked), known))
        print(f"| {count} | {given.steps * recipe.see.batch / count:.1f} times | {values} |", flush=True)


if __name__ == "__main__":
    main()
