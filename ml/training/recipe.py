"""What a training run is made by. Its folder keeps it, so that a run goes on, and is released, as it was begun."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ml.contract import ModelError
from ml.manifest import sha256_of
from ml.training import files
from ml.training.augment import SMALLEST_CROP

BEGINNING_FILE = "beginning.json"
IMAGENET = "imagenet"


@dataclass(frozen=True)
class Recipe:
    """The defaults made the model that is served, but for its precision, which was float32.

    sides: the side of the squares in pixels, and for how many epochs; small ones first, which is faster."""

    sides: tuple[tuple[int, int], ...] = ((128, 8), (160, 10), (192, 12))
    batch: int = 32
    learning_rate: float = 4e-4
    weight_decay: float = 0.02
    warm_up_steps: int = 100
    label_smoothing: float = 0.05
    balance: float = 0.5  # loss weight of a class = (its share) ** -balance, scaled to a mean of 1
    balance_from: int = 0  # the first epoch that weighs classes; before it all weigh the same (Cao et al. 2019)
    logit_adjustment: float = 0.0  # times log(its share) is added to a class's logit in the loss (Menon et al. 2021)
    average_momentum: float = 0.995
    strength: float = 1.0  # of the augmentation
    smallest_crop: float = SMALLEST_CROP  # side of a crop as a share of the photograph's height
    light: float = 1.0  # how far light and colours wander
    noise: float = 0.0  # share of the photographs that get a sensor's noise
    mixup: float = 0.0  # alpha of the Beta distribution that two photographs are mixed by
    malignancy_loss: float = 0.0  # weight of the cross-entropy of malignant against benign beside that of the classes
    precision: str = "bfloat16"  # what the backbone computes in, or "float32"; its weights are float32
    seed: int = 2026
    max_steps: int | None = None  # an epoch ends after so many (for trials)

    @property
    def epochs(self) -> int:
        return sum(epochs for _, epochs in self.sides)

    def side_of(self, epoch: int) -> int:
        return [side for side, epochs in self.sides for _ in range(epochs)][epoch]


@dataclass(frozen=True)
class Beginning:
    """photographs: sha256 of the names of those that are learnt from; weights: of the backbone's file, or IMAGENET."""

    recipe: Recipe
    photographs: str
    weights: str


def parse_recipe(stored: Mapping[str, Any]) -> Recipe:
    """Of `asdict` through JSON. Raises KeyError, TypeError or ValueError when it is none, or of other settings."""
    recipe = Recipe(**{**stored, "sides": tuple((side, epochs) for side, epochs in stored["sides"])})
    if stored.keys() != asdict(recipe).keys():
        raise ValueError("written by a program that knew fewer settings")
    return recipe


def digest_of_names(names: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()


def digest_of_weights(weights: Path | None) -> str:
    return sha256_of(weights) if weights else IMAGENET


def write_beginning(run: Path, beginning: Beginning) -> None:
    files.write_text(run / BEGINNING_FILE, json.dumps(asdict(beginning), indent=1) + "\n")


def read_beginning(run: Path) -> Beginning:
    """Raises ModelError."""
    path = run / BEGINNING_FILE
    try:
        stored = json.loads(path.read_text())
        return Beginning(parse_recipe(stored["recipe"]), stored["photographs"], stored["weights"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is missing or damaged. Train again into another --run.") from error


def check_beginning(run: Path, beginning: Beginning) -> None:
    """Raises ModelError when `run` was begun otherwise, or holds work of which that is not known."""
    if not any(not path.name.startswith(files.PARTIAL) for path in run.glob("*")):
        return
    found = read_beginning(run)
    differences = {
        "another recipe": found.recipe != beginning.recipe,
        "other photographs": found.photographs != beginning.photographs,
        "other weights": found.weights != beginning.weights,
    }
    if any(differences.values()):
        said = " and ".join(name for name, differs in differences.items() if differs)
        raise ModelError(f"{run} was begun with {said}. Name another --run, or remove that folder.")
