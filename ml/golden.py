"""Questions with known answers, asked of a network before it serves.

The squares are kept with their answers: nothing but the network and what runs it can make them come out differently.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ml.contract import ModelError
from ml.drawing import draw_photograph
from ml.preprocess import to_square
from ml.views import Answer

GOLDEN_FILE = "golden.npz"
TOLERANCE = 1e-3
ASKED = ("nevus", "melanoma", "keratosis", "bcc", "vascular")

Ask = Callable[[np.ndarray], Answer]


def drawn_square(kind: str, seed: int) -> np.ndarray:
    return to_square(draw_photograph(seed, kind=kind, width=320, height=240))


def write_golden(folder: Path, ask: Ask) -> None:
    """Keep some drawn squares (n, 224, 224, 3) uint8 in `folder`, and what the network says of each."""
    squares = np.stack([drawn_square(kind, seed) for seed, kind in enumerate(ASKED)])
    kept: dict[str, Any] = {"squares": squares, **_answers(ask, squares)}
    np.savez_compressed(folder / GOLDEN_FILE, **kept)


def check_golden(folder: Path, ask: Ask) -> None:
    """Ask the questions in `folder` again. Raises ModelError when an answer differs by more than TOLERANCE."""
    path = folder / GOLDEN_FILE
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            kept = dict(arrays)
        found = _answers(ask, kept.pop("squares"))
        differences = {name: float(np.abs(found[name] - kept[name]).max()) for name in found}
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(
            f"{path} cannot be read, so the model cannot prove itself. Install the model again."
        ) from error
    worst = max(differences, key=lambda name: np.nan_to_num(differences[name], nan=np.inf))
    if not differences[worst] <= TOLERANCE:
        raise ModelError(
            f"The model answers a stored question differently ({worst}, off by {differences[worst]:.4f}). "
            "Do not serve it on this machine; install model and program again."
        )


def _answers(ask: Ask, squares: np.ndarray) -> dict[str, np.ndarray]:
    """Logits, the middle cell of the activation map, and a little of the texture, a row for each square."""
    answers = [ask(square) for square in squares]
    return {
        "logits": np.stack([answer.logits for answer in answers]),
        "map_middle": np.stack([answer.activation_map[3, 3] for answer in answers]),
        "texture": np.stack([answer.texture[:8] for answer in answers]),
    }
