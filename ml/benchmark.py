"""How long one photograph takes on one thread: step by step, and the bare network in other runtimes."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ml import quality
from ml.contract import ModelError
from ml.drawing import draw_photograph
from ml.manifest import NETWORK_FILE
from ml.predictor import LiteRTPredictor
from ml.preprocess import open_photograph, to_input, to_square

Run = Callable[[], object]
PARITY = 1e-3


def medians(steps: dict[str, Run], rounds: int) -> dict[str, float]:
    """Milliseconds of each, taken in turns, so that what else the machine does falls on all of them alike."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            if number:  # the first round warms up
                taken[name].append(time.perf_counter() - started)
    return {name: 1000 * float(np.median(seconds)) for name, seconds in taken.items()}


def print_benchmark(predictor: LiteRTPredictor, rounds: int) -> None:
    console = Console()
    table = Table("photograph", "open", "resize", "quality", "network", "whole reading", "whole / network")
    for width, height in ((320, 240), (600, 450), (4000, 3000)):
        data = _photograph(width, height)
        picture, _ = open_photograph(data)
        square = to_square(picture)
        steps: dict[str, Run] = {
            "open": partial(open_photograph, data),
            "resize": partial(to_square, picture),
            "quality": partial(quality.measure, square),
            "network": partial(predictor.network, square),
            "whole": partial(predictor.read, data),
        }
        taken = medians(steps, rounds)
        ratio = f"{taken['whole'] / taken['network']:.2f}x"
        table.add_row(f"{width}x{height} JPEG", *(f"{ms:.1f} ms" for ms in taken.values()), ratio)
    console.print(table)
    console.print(compare_runtimes(predictor, rounds))


def compare_runtimes(predictor: LiteRTPredictor, rounds: int) -> Table:
    """The bare network here and in the runtimes of the optional extra `benchmark`, one thread each, in one run."""
    inputs = to_input(to_square(draw_photograph(1)))[None]
    expected = predictor.network.answer(inputs)["logits"]
    path = predictor.folder / NETWORK_FILE
    steps: dict[str, Run] = {"LiteRT": partial(predictor.network.answer, inputs)}
    missing = {}
    for name, prepare in (("OpenVINO", _in_openvino), ("ONNX Runtime", _in_onnx_runtime)):
        try:
            steps[name] = prepare(path, inputs, expected)
        except ImportError as error:
            missing[name] = escape(f'not measured: {error.name} is missing (pip install ".[train,benchmark]")')
        except ModelError as error:
            missing[name] = str(error)
    table = Table("bare network in", "median", "LiteRT's / this")
    taken = medians(steps, rounds)
    for name, milliseconds in taken.items():
        table.add_row(name, f"{milliseconds:.1f} ms", f"{taken['LiteRT'] / milliseconds:.2f}x")
    for name, why in missing.items():
        table.add_row(name, why, "")
    return table


def _in_openvino(path: Path, inputs: np.ndarray, expected: np.ndarray) -> Run:
    import openvino

    model = openvino.Core().read_model(path)
    model.reshape(list(inputs.shape))
    # Where the processor knows bfloat16, OpenVINO would compute in it, and answer something else than fp32.
    options = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.compile_model(model, "CPU", options)
    request = compiled.create_infer_request()
    _check_same(request.infer([inputs]).values(), expected, "OpenVINO")
    return lambda: request.infer([inputs])


def _in_onnx_runtime(path: Path, inputs: np.ndarray, expected: np.ndarray) -> Run:
    import onnxruntime
    import tensorflow  # noqa: F401 - what tf2onnx would miss is named before it prints a trace
    from tf2onnx import convert

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        converted = Path(folder) / "network.onnx"
        convert.from_tflite(str(path), opset=15, output_path=str(converted))
        session = onnxruntime.InferenceSession(str(converted), options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: inputs}
    _check_same(session.run(None, feed), expected, "ONNX Runtime")
    return lambda: session.run(None, feed)


def _check_same(outputs: Iterable[np.ndarray], expected: np.ndarray, name: str) -> None:
    """A runtime that answers something else is not a comparison."""
    logits = [output for output in outputs if output.shape == expected.shape]
    if not logits or np.abs(logits[0] - expected).max() > PARITY:
        raise ModelError(f"{name} answers differently from LiteRT; its time would mean nothing.")


def _photograph(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    draw_photograph(1, width=600, height=450).resize((width, height)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
