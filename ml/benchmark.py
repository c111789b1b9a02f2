"""How long one photograph takes, step by step, on one thread."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from rich.console import Console
from rich.table import Table

from ml import quality
from ml.drawing import draw_photograph
from ml.predictor import LiteRTPredictor
from ml.preprocess import open_photograph, to_square


def median_milliseconds(step: Callable[[], object], rounds: int) -> float:
    step()
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        step()
        taken.append(time.perf_counter() - started)
    return float(np.median(taken)) * 1000


def print_benchmark(predictor: LiteRTPredictor, rounds: int) -> None:
    table = Table("photograph", "open", "resize", "quality", "network", "whole reading", "whole / network")
    for width, height in ((320, 240), (600, 450), (4000, 3000)):
        data = _photograph(width, height)
        picture, _ = open_photograph(data)
        square = to_square(picture)
        steps: tuple[Callable[[], object], ...] = (
            partial(open_photograph, data),
            partial(to_square, picture),
            partial(quality.measure, square),
            partial(predictor.network, square),
            partial(predictor.read, data),
        )
        taken = [median_milliseconds(step, rounds) for step in steps]
        table.add_row(f"{width}x{height} JPEG", *(f"{ms:.1f} ms" for ms in taken), f"{taken[4] / taken[3]:.2f}x")
    Console().print(table)


def _photograph(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    draw_photograph(1, width=600, height=450).resize((width, height)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
