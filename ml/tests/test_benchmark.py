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


def test_a_runtime_that_answers_otherwise_does_not_cost_the_others_their_rows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def answers_otherwise(*_: object) -> None:
        raise ModelError("OpenVINO answers differently")

    monkeypatch.setattr("ml.benchmark._in_openvino", answers_otherwise)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["benchmark", "--rounds", "1"]) == 0
    printed = capsys.readouterr().out
    assert "OpenVINO answers differently" in printed
    assert printed.count("not measured") == 1


def test_medians_are_taken_in_turns() -> None:
    order: list[str] = []
    steps = {name: partial(order.append, name) for name in "ab"}
    medians(steps, rounds=3)
    assert order == ["a", "b"] * 4


def test_a_step_takes_the_median_of_its_rounds_in_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    took = {"slow": iter([9.0, 0.004, 0.005, 0.5]), "fast": iter([9.0, 0.001, 0.003, 0.002])}
    now = 0.0

    def step(name: str) -> None:
        nonlocal now
        now += next(took[name])

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    found = medians({name: partial(step, name) for name in took}, rounds=3)
    assert found == {"slow": pytest.approx(5), "fast": pytest.approx(2)}


def test_a_runtime_that_answers_otherwise_is_no_comparison() -> None:
    expected = np.arange(7, dtype=np.float32)[None]
    _check_same([np.zeros((1, 7, 7, 7)), expected], expected, "Other")
    for outputs in ([expected + 0.1], [np.zeros((1, 3))], []):
        with pytest.raises(ModelError, match="Other answers differently"):
            _check_same(outputs, expected, "Other")
