"""One photograph (600x450 JPEG bytes) to its result: our predictor against Keras `model.predict`, in one run.

    python bench/predict.py [--rounds 120]

Each is measured in its own process, so that neither pays for the other's memory: first held to one core, since a worker
child reads with one thread; the bars are about that. Then with every core of the machine, of which only Keras takes
more than one. Ends with 1 when a bar is missed: at least 8 times as fast, under a quarter of the memory.
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

# They take turns in blocks, so that other work on the machine meets both alike.
BLOCK = 20
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


def serve(name: str) -> None:
    """Time as many readings as each line of stdin asks for; its end ends it."""
    data = photographs()
    read = READERS[name]()
    for photograph in data:
        read(photograph)
    print("ready", flush=True)
    for line in sys.stdin:
        taken = []
        for index in range(int(line)):
            started = time.perf_counter()
            read(data[index % len(data)])
            taken.append((time.perf_counter() - started) * 1000)
        print(json.dumps({"taken": taken, "megabytes": resident_megabytes()}), flush=True)


def resident_megabytes() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


class Runner:
    """One of READERS in a process of its own."""

    def __init__(self, name: str, *, cores: set[int]) -> None:
        self.name = name
        self.taken: list[float] = []
        self.megabytes = 0.0
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--only", name, "--cores", *map(str, cores)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        self._answer()

    def _answer(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} could not be measured. Run: python bench/predict.py --only {self.name}")
        return line

    def run(self, rounds: int) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{rounds}\n")
        self._process.stdin.flush()
        found = json.loads(self._answer())
        self.taken += found["taken"]
        self.megabytes = found["megabytes"]

    def close(self) -> dict[str, float]:
        self._process.communicate()
        taken = sorted(self.taken)
        return {
            "median": statistics.median(taken),
            "p95": taken[int(0.95 * len(taken))],
            "megabytes": self.megabytes,
        }


def compare(cores: set[int], rounds: int) -> list[dict[str, float]]:
    """What each of READERS takes, in turns of a block."""
    runners = [Runner(name, cores=cores) for name in READERS]
    for _ in range(max(1, rounds // BLOCK)):
        for runner in runners:
            runner.run(BLOCK)
    return [runner.close() for runner in runners]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=120)
    parser.add_argument("--only", choices=READERS, help=argparse.SUPPRESS)
    parser.add_argument("--cores", type=int, nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        if options.cores:
            os.sched_setaffinity(0, options.cores)
        serve(options.only)
        return 0
    every = os.sched_getaffinity(0)
    one = {max(every)}
    kept = True
    for title, cores in (("one core", one), ("every core", every)):
        mine, theirs = compare(cores, options.rounds)
        faster, smaller = theirs["median"] / mine["median"], theirs["megabytes"] / mine["megabytes"]
        print(f"\n| one photograph, 600x450 JPEG bytes to result, {title} | median ms | p95 ms | memory MB |")
        print("|---|---|---|---|")
        for name, found in (("our predictor (LiteRT, quality gate included)", mine), ("Keras `model.predict`", theirs)):
            print(f"| {name} | {found['median']:.1f} | {found['p95']:.1f} | {found['megabytes']:.0f} |")
        bars = (f" (bar {FASTER:.0f}x)", f" (bar {SMALLER:.0f}x)") if cores is one else ("", "")
        print(f"| ratio | {faster:.1f}x faster{bars[0]} | | {smaller:.1f}x smaller{bars[1]} |")
        kept &= cores is not one or (faster >= FASTER and smaller > SMALLER)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
