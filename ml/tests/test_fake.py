from __future__ import annotations

import time

import pytest

from ml import fake
from ml.contract import ModelError, UnreadablePhotograph
from ml.labels import DIAGNOSES, MALIGNANT
from ml.tests.conftest import drawn_bytes


def test_the_same_bytes_give_the_same_reading_and_others_another() -> None:
    data, other = drawn_bytes(1), drawn_bytes(2)
    first, again, different = fake.load().read(data), fake.load().read(data), fake.load().read(other)
    assert first.probabilities == again.probabilities
    assert first.probabilities != different.probabilities


def test_a_pretended_reading_keeps_the_contract() -> None:
    reading = fake.load().read(drawn_bytes(1))
    assert tuple(reading.probabilities) == DIAGNOSES
    assert sum(reading.probabilities.values()) == pytest.approx(1)
    assert reading.malignancy == pytest.approx(sum(reading.probabilities[name] for name in MALIGNANT))
    assert reading.activation_map.shape == (7, 7, 7)
    assert reading.scorable
    assert reading.band is not None


def test_unscorable_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKINCLINIC_FAKE_OUTCOME", "unscorable")
    reading = fake.load().read(drawn_bytes(1))
    assert reading.unscorable_reasons == ("blurred",)
    assert reading.band is None


def test_an_error_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKINCLINIC_FAKE_OUTCOME", "error")
    with pytest.raises(ModelError, match="told to fail"):
        fake.load().read(drawn_bytes(1))


def test_an_unknown_outcome_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKINCLINIC_FAKE_OUTCOME", "perhaps")
    with pytest.raises(ModelError, match="predicted, unscorable, error"):
        fake.load().read(drawn_bytes(1))


def test_a_delay_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKINCLINIC_FAKE_DELAY", "soon")
    with pytest.raises(ModelError, match="number of seconds"):
        fake.load().read(drawn_bytes(1))


def test_the_delay_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKINCLINIC_FAKE_DELAY", "0.2")
    started = time.monotonic()
    reading = fake.load().read(drawn_bytes(1))
    assert time.monotonic() - started >= 0.2
    assert reading.milliseconds >= 200


def test_what_is_no_photograph_is_refused_as_by_the_real_one() -> None:
    with pytest.raises(UnreadablePhotograph):
        fake.load().read(b"nothing")
