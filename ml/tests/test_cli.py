from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ml.__main__ import main, settle_allocator

KEYS = [
    "path",
    "model",
    "malignancy",
    "band",
    "refer",
    "probabilities",
    "unscorable_reasons",
    "cautions",
    "quality",
    "milliseconds",
]


def test_predict_prints_one_line_of_the_agreed_shape(
    photograph_file: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = photograph_file()
    assert main(["predict", str(path)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert list(found) == KEYS
    assert found["path"] == str(path)
    assert list(found["probabilities"]) == ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"]
    assert list(found["quality"]) == ["sharpness", "exposure", "in_domain"]
    assert found["band"] in ("low", "intermediate", "high")


def test_an_unscorable_photograph_has_a_score_and_no_band(
    photograph_file: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(photograph_file(blur=9))]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["band"] is None
    assert found["unscorable_reasons"] == ["blurred"]
    assert isinstance(found["malignancy"], float)
    assert isinstance(found["refer"], bool)


def test_bad_files_take_one_line_each_and_the_others_are_read(
    photograph_file: Callable[..., Path], tmp_path: Path
) -> None:
    good, second = photograph_file("good.jpg"), photograph_file("second.jpg", seed=2)
    (tmp_path / "text.jpg").write_text("no photograph")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "half.jpg").write_bytes(good.read_bytes()[:4000])
    bad = [tmp_path / "text.jpg", tmp_path / "empty.jpg", tmp_path / "half.jpg", tmp_path / "missing.jpg", tmp_path]
    arguments = [str(path) for path in (good, *bad, second)]
    command = [sys.executable, "-m", "ml", "predict", *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    assert [json.loads(line)["path"] for line in finished.stdout.splitlines()] == [str(good), str(second)]
    complaints = finished.stderr.splitlines()
    assert [line.split(": ")[0] for line in complaints] == [str(path) for path in bad]


def test_a_forbidden_file_is_one_line(
    photograph_file: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, good = photograph_file(), photograph_file("good.jpg")
    path.chmod(0)
    if os.geteuid() == 0:  # who may read everything
        opened = Path.open

        def refuse(asked: Path, *how: Any, **more: Any) -> Any:
            if asked == path:
                raise PermissionError(13, "Permission denied", str(asked))
            return opened(asked, *how, **more)

        monkeypatch.setattr(Path, "open", refuse)
    assert main(["predict", str(path), str(good)]) == 1
    found = capsys.readouterr()
    assert found.err.splitlines() == [f"{path}: The file cannot be read (Permission denied)."]
    assert len(found.out.splitlines()) == 1


def test_a_reader_that_has_gone_is_no_fault(photograph_file: Callable[..., Path]) -> None:
    paths = " ".join([str(photograph_file())] * 12)
    command = f"{sys.executable} -m ml predict {paths} | head -n 1"
    finished = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert len(finished.stdout.splitlines()) == 1
    assert finished.stderr == ""


@pytest.mark.parametrize(("sign", "written"), [("\n", "\\n"), ("\u2028", "\\u2028"), ("ü", "ü")])
def test_a_name_of_two_lines_is_complained_of_in_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sign: str, written: str
) -> None:
    assert main(["predict", str(tmp_path / f"first{sign}second.jpg")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"first{written}second.jpg: The file cannot be read" in line


def test_a_file_without_end_is_not_read_to_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sparse = tmp_path / "sparse.jpg"
    with sparse.open("wb") as file:
        file.truncate(10**12)
    assert main(["predict", str(sparse)]) == 1
    assert "larger than 256 MB" in capsys.readouterr().err


def test_a_map_never_overwrites_its_photograph(
    photograph_file: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = photograph_file()
    before = path.read_bytes()
    assert main(["predict", str(path), "--map", str(path.parent / "." / path.name)]) == 1
    assert path.read_bytes() == before
    assert "would overwrite" in capsys.readouterr().err


def test_an_empty_list_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_missing_model_is_one_sentence(
    photograph_file: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(photograph_file()), "--model", str(tmp_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "There is no model" in line


def test_the_map_is_drawn_over_the_photograph(photograph_file: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "map.png"
    assert main(["predict", str(photograph_file(kind="melanoma")), "--map", str(out)]) == 0
    with Image.open(out) as drawn:
        assert drawn.size == (600, 450)


def test_one_map_does_not_do_for_two_photographs(
    photograph_file: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(photograph_file("a.jpg")), str(photograph_file("b.jpg"))]
    assert main(["predict", *paths, "--map", str(tmp_path / "map.png")]) == 1
    assert "exactly one" in capsys.readouterr().err


def test_a_map_that_cannot_be_written_is_one_line(
    photograph_file: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(photograph_file()), "--map", str(tmp_path / "nowhere" / "map.png")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("command", ["train", "export", "evaluate", "benchmark", "predict"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert "usage: python -m ml" in capsys.readouterr().out


def test_evaluate_without_the_data_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--data", str(tmp_path)]) == 1
    assert "HAM10000_metadata.csv" in capsys.readouterr().err


def test_training_starts_again_with_its_allocator_unless_one_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, arguments: started.append(arguments))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "environ", {"TF_ENABLE_ONEDNN_OPTS": "0"})
    settle_allocator()
    assert started == [sys.orig_argv]
    assert os.environ["GLIBC_TUNABLES"]
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0", "as it was chosen"
    settle_allocator()
    assert len(started) == 1
