"""The ways one square is looked at. Dermoscopy has no upright, so the answers to its turns can be averaged."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ml.contract import ModelError


class Answer(NamedTuple):
    """What the network says of a square: logits (7,), activation map (7, 7, 7), texture (192,) (see ml.domain)."""

    logits: np.ndarray
    activation_map: np.ndarray
    texture: np.ndarray


# Each undoes itself, so it also turns an activation map [row, column, diagnosis] back.
VIEWS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "upright": lambda square: square,
    "turned": lambda square: square[::-1, ::-1],
    "mirrored": lambda square: square[:, ::-1],
    "flipped": lambda square: square[::-1],
}


def look(network: Callable[[np.ndarray], Answer], square: np.ndarray, views: tuple[str, ...]) -> Answer:
    """The mean of logits and turned-back maps over `views` (keys of VIEWS); the texture of the first one.

    Raises ModelError for an answer that is no number, which would compare as lower than every threshold.
    """
    answers = [network(VIEWS[view](square)) for view in views]
    if not all(np.isfinite(part).all() for answer in answers for part in answer):
        raise ModelError("The model's answer is not a number. Install the model again.")
    if len(answers) == 1:
        return answers[0]
    maps = [VIEWS[view](answer.activation_map) for view, answer in zip(views, answers, strict=True)]
    logits = np.mean([answer.logits for answer in answers], axis=0)
    return Answer(logits, np.mean(maps, axis=0), answers[0].texture)
