"""One photograph (600x450 JPEG bytes) to its result: our predictor against Keras `model.predict`, in one run.

    python bench/predict.py [--rounds 60]

Each is measured in its own process, so that neither pays for the other's memory. Ends with 1 when a bar is missed:
at least 8 times as fast, less than a quarter of the memory.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

FASTER = 8.0
SMALLER = 4.0


def photographs() -> list[bytes]:
    from ml.drawing import draw_photograph

    drawn = []
    for seed in range(4):
        buffer = io.BytesIO()
        draw_photograph(seed, kind=("nevus", "melanoma", "keratosis", "bcc")[seed]).save(buffer, "JPEG", quality=90)
        drawn.append(buffer.getvalue())
    return drawn


def ours() -> Callable[[bytes], object]:
    from ml.predictor import load

    return load().read


def keras_predict() -> Callable[[bytes], object]:
    import keras
    import numpy as np
    from PIL import Image

    from ml.predictor import newest_model

    model = keras.models.load_model(newest_model() / "model.keras", compile=False)

    def read(photograph: bytes) -> object:
        square = Image.open(io.BytesIO(photograph)).convert("RGB").resize((224, 224))
        return model.predict(np.asarray(square, dtype=np.float32)[None] / 127.5 - 1, verbose=0)

    return read


READERS = {"ours": ours, "keras": keras_predict}


def measure(name: str, rounds: int) -> dict[str, float]:
    data = photographs()
    read = READERS[name]()
    for photograph in data:
        read(photograph)
    taken = []
    for index in range(rounds):
        started = time.perf_counter()
        read(data[index % len(data)])
        taken.append((time.perf_counter() - started) * 1000)
    taken.sort()
    return {"median": statistics.median(taken), "p95": taken[int(0.95 * len(taken))], "megabytes": resident_megabytes()}


def resident_megabytes() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def measure_apart(name: str, rounds: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--only", name, "--rounds", str(rounds)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    finished = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if finished.returncode:
        sys.exit(f"{name} could not be measured: {finished.stderr.strip().splitlines()[-1:]}")
    found: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--only", choices=READERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(options.only, options.rounds)))
        return 0
    mine, theirs = (measure_apart(name, options.rounds) for name in READERS)
    faster = theirs["median"] / mine["median"]
    smaller = theirs["megabytes"] / mine["megabytes"]
    print("| one photograph, 600x450 JPEG bytes to result | median ms | p95 ms | memory MB |")
    print("|---|---|---|---|")
    for title, found in (("our predictor (LiteRT, quality gate included)", mine), ("Keras `model.predict`", theirs)):
        print(f"| {title} | {found['median']:.1f} | {found['p95']:.1f} | {found['megabytes']:.0f} |")
    print(f"| ratio | {faster:.1f}x faster (bar {FASTER:.0f}x) | | {smaller:.1f}x smaller (bar {SMALLER:.0f}x) |")
    return 0 if faster >= FASTER and smaller > SMALLER else 1


if __name__ == "__main__":
    sys.exit(main())
