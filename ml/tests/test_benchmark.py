from __future__ import annotations

import sys
import time
from functools import partial

import numpy as np
import pytest

from ml.__main__ import main
from ml.benchmark import _check_same, medians
from ml.contract import ModelError


def test_the_benchmark_prints_its_steps_and_names_the_runtimes_it_lacks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["benchmark", "--rounds", "1"]) == 0
    printed = capsys.readouterr().out
    for word in ("600x450 JPEG", "4000x3000 JPEG", "whole / network", "LiteRT", ".[train,benchmark]"):
        assert word in printed
    assert printed.count("not measured") == 2


def test_medians_are_taken_in_turns() -> None:
    order: list[str] = []
    steps = {name: partial(order.append, name) for name in "ab"}
    medians(steps, rounds=3)
    assert order == ["a", "b"] * 4


def test_a_slower_step_takes_longer() -> None:
    found = medians({"slow": partial(time.sleep, 0.004), "fast": partial(time.sleep, 0.001)}, rounds=5)
    assert found["slow"] > found["fast"] >= 1


def test_a_runtime_that_answers_otherwise_is_no_comparison() -> None:
    expected = np.arange(7, dtype=np.float32)[None]
    _check_same([np.zeros((1, 7, 7, 7)), expected], expected, "Other")
    for outputs in ([expected + 0.1], [np.zeros((1, 3))], []):
        with pytest.raises(ModelError, match="Other answers differently"):
            _check_same(outputs, expected, "Other")
