from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from ml.drawing import draw_photograph
from ml.predictor import LiteRTPredictor, load, newest_model

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
TENSORFLOW_MARKS = [
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
REAL_PHOTOGRAPHS = Path(os.environ.get("HAM10000_DIR", Path(__file__).parents[3] / "shared" / "data" / "ham10000"))


def to_bytes(photograph: Image.Image, form: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    photograph.save(buffer, form, **({"quality": 92} if form == "JPEG" else {}) | options)
    return buffer.getvalue()


def drawn_bytes(seed: int = 1, form: str = "JPEG", **options: object) -> bytes:
    return to_bytes(draw_photograph(seed, **options), form)


@pytest.fixture(scope="session")
def predictor() -> LiteRTPredictor:
    return load()


@pytest.fixture
def copied_model(tmp_path: Path) -> Path:
    """A copy of the newest model, to be spoilt."""
    folder = tmp_path / "2026.1.1"
    shutil.copytree(newest_model(), folder)
    return folder


@pytest.fixture
def photograph_file(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str = "lesion.jpg", **options: object) -> Path:
        path = tmp_path / name
        path.write_bytes(drawn_bytes(**options))
        return path

    return write


@pytest.fixture(scope="session")
def real_photographs() -> list[Path]:
    found = sorted(REAL_PHOTOGRAPHS.glob("*/ISIC_*.jpg"))
    if not found:
        pytest.skip(f"no HAM10000 photographs in {REAL_PHOTOGRAPHS}; name the folder in HAM10000_DIR")
    return found
