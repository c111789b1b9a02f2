from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ml.drawing import draw_photograph
from ml.labels import DIAGNOSES
from ml.predictor import newest_model
from ml.training.data import (
    FOLDS,
    SLICES,
    DataError,
    Photograph,
    Split,
    assign_splits,
    calibration_slice_of,
    load_cache,
    part_of,
    read_photographs,
    read_splits,
    write_splits,
)
from ml.training.duplicates import cluster_photographs

HEADER = "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset\n"


def _photograph(image_id: str, lesion_id: str, dx: str = "nv", path: Path = Path("nowhere.jpg")) -> Photograph:
    return Photograph(image_id, lesion_id, dx, "histo", 50.0, "female", "back", "rosendahl", path)


def _save(folder: Path, name: str, picture: Image.Image) -> Path:
    path = folder / "images" / f"{name}.jpg"
    path.parent.mkdir(exist_ok=True)
    picture.resize((320, 240)).save(path, quality=90)
    return path


def test_installed_splits_let_no_lesion_and_no_cluster_into_two_parts() -> None:
    splits = read_splits(newest_model() / "splits.csv")
    places_of: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for split in splits:
        places_of[f"lesion {split.lesion_id}"].add((split.fold, split.slice))
        places_of[f"cluster {split.cluster}"].add((split.fold, split.slice))
    assert [name for name, places in places_of.items() if len(places) > 1] == []
    assert {split.slice for split in splits} == set(range(SLICES))
    assert len({split.image_id for split in splits}) == len(splits) == 10_015


def test_installed_splits_spread_every_diagnosis_evenly() -> None:
    splits = read_splits(newest_model() / "splits.csv")
    counts = Counter((split.dx, split.fold) for split in splits)
    for dx in DIAGNOSES:
        shares = [counts[dx, fold] for fold in range(5)]
        assert max(shares) - min(shares) <= 0.02 * sum(shares) + 2


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=60, max_size=150),
    seed=st.integers(0, 1000),
    fold=st.integers(0, FOLDS - 1),
    calibration_slice=st.integers(0, SLICES - 1),
)
def test_no_cluster_is_in_two_parts_of_a_run(sizes: list[int], seed: int, fold: int, calibration_slice: int) -> None:
    rng = np.random.default_rng(seed)
    clusters = [f"C{number}" for number, size in enumerate(sizes) for _ in range(size)]
    photographs = [
        _photograph(f"ISIC_{row:07}", f"L of {cluster}", DIAGNOSES[int(rng.integers(7))])
        for row, cluster in enumerate(clusters)
    ]
    splits = assign_splits(photographs, clusters, seed)
    part = part_of(splits, fold, calibration_slice)
    rows = [set(part.training.tolist()), set(part.calibration.tolist()), set(part.test.tolist())]
    assert set.union(*rows) == set(range(len(clusters)))
    assert sum(len(each) for each in rows) == len(clusters)
    seen = [{clusters[row] for row in each} for each in rows]
    assert sum(len(each) for each in seen) == len(set.union(*seen))
    assert assign_splits(photographs, clusters, seed) == splits


def test_each_fold_is_calibrated_on_another_slice_and_the_served_one_on_none_that_recipes_were_compared_on() -> None:
    chosen = [calibration_slice_of(fold) for fold in range(FOLDS)]
    assert len(set(chosen)) == FOLDS
    assert set(chosen) <= set(range(SLICES))
    assert chosen[0] not in {0, 1, 2}
    splits = [Split(str(row), str(row), str(row), "nv", row % FOLDS, row // FOLDS) for row in range(FOLDS * SLICES)]
    assert {splits[row].slice for row in part_of(splits, 3).calibration} == {chosen[3]}


def test_every_slice_of_a_fold_has_its_share_of_every_diagnosis() -> None:
    rng = np.random.default_rng(3)
    photographs = [_photograph(f"ISIC_{i:07}", f"L{i}", DIAGNOSES[int(rng.integers(7))]) for i in range(2000)]
    splits = assign_splits(photographs, [photograph.lesion_id for photograph in photographs])
    counts = Counter((split.dx, split.fold, split.slice) for split in splits)
    for dx in DIAGNOSES:
        shares = [counts[dx, fold, part] for fold in range(FOLDS) for part in range(SLICES)]
        assert max(shares) - min(shares) <= 2


def test_the_same_bytes_and_nearly_the_same_picture_are_one_cluster(tmp_path: Path) -> None:
    lesion = draw_photograph(5, kind="melanoma")
    relit = lesion.point(lambda level: min(255, int(level * 1.06)))
    other = draw_photograph(6, kind="melanoma")
    paths = [_save(tmp_path, name, picture) for name, picture in (("a", lesion), ("b", relit), ("c", other))]
    paths.append(tmp_path / "images" / "d.jpg")
    paths[3].write_bytes(paths[2].read_bytes())
    photographs = [_photograph(path.stem, f"lesion of {path.stem}", path=path) for path in paths]
    pixels = load_cache(photographs, tmp_path / "cache")
    assert cluster_photographs(photographs, pixels, np.eye(4)) == ["a", "a", "c", "c"]


def test_what_the_backbone_sees_alike_is_one_cluster(tmp_path: Path) -> None:
    paths = [_save(tmp_path, name, draw_photograph(seed)) for seed, name in enumerate("abc")]
    photographs = [_photograph(path.stem, f"lesion of {path.stem}", path=path) for path in paths]
    pixels = load_cache(photographs, tmp_path / "cache")
    near = np.array([0.94, 0.0, np.sqrt(1 - 0.94**2)])
    far = np.array([0.90, 0.0, np.sqrt(1 - 0.90**2)])
    assert cluster_photographs(photographs, pixels, np.array([[1, 0, 0], [0, 1, 0], near])) == ["a", "b", "a"]
    assert cluster_photographs(photographs, pixels, np.array([[1, 0, 0], [0, 1, 0], far])) == ["a", "b", "c"]


def test_splits_survive_the_file(tmp_path: Path) -> None:
    photographs = [_photograph(f"ISIC_{i:07}", f"L{i}") for i in range(10)]
    splits = assign_splits(photographs, [photograph.image_id for photograph in photographs])
    write_splits(tmp_path / "splits.csv", splits)
    assert read_splits(tmp_path / "splits.csv") == splits


def test_a_missing_photograph_is_named(tmp_path: Path) -> None:
    _save(tmp_path, "ISIC_0000001", draw_photograph(1))
    rows = "L1,ISIC_0000001,nv,histo,40.0,male,back,x\nL2,ISIC_0000002,mel,histo,,male,back,x\n"
    (tmp_path / "HAM10000_metadata.csv").write_text(HEADER + rows)
    with pytest.raises(DataError, match=r"1 of 2 photographs are missing.*ISIC_0000002"):
        read_photographs(tmp_path)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (HEADER, "names no photographs"),
        ("image_id,dx\nISIC_0000001,nv\n", "damaged or of another layout"),
        (HEADER + "L1,ISIC_0000001,nv,histo,old,male,back,x\n", "damaged or of another layout"),
        (HEADER + "L1,ISIC_0000001,wart,histo,40.0,male,back,x\n", "damaged or of another layout"),
    ],
)
def test_a_table_that_is_no_ham10000_is_refused_in_words(tmp_path: Path, table: str, said: str) -> None:
    _save(tmp_path, "ISIC_0000001", draw_photograph(1))
    (tmp_path / "HAM10000_metadata.csv").write_text(table)
    with pytest.raises(DataError, match=said):
        read_photographs(tmp_path)


def test_a_folder_without_metadata_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Name the data set's folder with --data"):
        read_photographs(tmp_path)
