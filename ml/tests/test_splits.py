from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml.drawing import draw_photograph
from ml.labels import DIAGNOSES
from ml.predictor import newest_model
from ml.training.data import (
    DataError,
    Photograph,
    assign_folds,
    cluster_photographs,
    load_cache,
    read_photographs,
    read_splits,
    write_splits,
)

HEADER = "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset\n"


def _photograph(image_id: str, lesion_id: str, dx: str = "nv", path: Path = Path("nowhere.jpg")) -> Photograph:
    return Photograph(image_id, lesion_id, dx, "histo", 50.0, "female", "back", "rosendahl", path)


def _save(folder: Path, name: str, picture: Image.Image) -> Path:
    path = folder / "images" / f"{name}.jpg"
    path.parent.mkdir(exist_ok=True)
    picture.resize((320, 240)).save(path, quality=90)
    return path


def test_installed_splits_let_no_lesion_and_no_cluster_into_two_folds() -> None:
    splits = read_splits(newest_model() / "splits.csv")
    folds_of: dict[str, set[int]] = defaultdict(set)
    for split in splits:
        folds_of[f"lesion {split.lesion_id}"].add(split.fold)
        folds_of[f"cluster {split.cluster}"].add(split.fold)
    assert [name for name, folds in folds_of.items() if len(folds) > 1] == []
    assert len({split.image_id for split in splits}) == len(splits) == 10_015


def test_installed_splits_spread_every_diagnosis_evenly() -> None:
    splits = read_splits(newest_model() / "splits.csv")
    counts = Counter((split.dx, split.fold) for split in splits)
    for dx in DIAGNOSES:
        shares = [counts[dx, fold] for fold in range(5)]
        assert max(shares) - min(shares) <= 0.02 * sum(shares) + 2


def test_folds_keep_clusters_whole_and_are_the_same_again() -> None:
    rng = np.random.default_rng(3)
    photographs = [_photograph(f"ISIC_{i:07}", f"L{i // 2}", DIAGNOSES[int(rng.integers(7))]) for i in range(400)]
    clusters = [f"C{i // 3}" for i in range(400)]
    first = assign_folds(photographs, clusters)
    folds_of = defaultdict(set)
    for split in first:
        folds_of[split.cluster].add(split.fold)
    assert all(len(folds) == 1 for folds in folds_of.values())
    assert {split.fold for split in first} == set(range(5))
    assert assign_folds(photographs, clusters) == first


def test_the_same_bytes_and_nearly_the_same_picture_are_one_cluster(tmp_path: Path) -> None:
    lesion = draw_photograph(5, kind="melanoma")
    relit = lesion.point(lambda level: min(255, int(level * 1.06)))
    other = draw_photograph(6, kind="melanoma")
    paths = [_save(tmp_path, name, picture) for name, picture in (("a", lesion), ("b", relit), ("c", other))]
    paths.append(tmp_path / "images" / "d.jpg")
    paths[3].write_bytes(paths[2].read_bytes())
    photographs = [_photograph(path.stem, f"lesion of {path.stem}", path=path) for path in paths]
    clusters = cluster_photographs(photographs, load_cache(photographs, tmp_path / "cache"))
    assert clusters == ["a", "a", "c", "c"]


def test_splits_survive_the_file(tmp_path: Path) -> None:
    photographs = [_photograph(f"ISIC_{i:07}", f"L{i}") for i in range(10)]
    splits = assign_folds(photographs, [photograph.image_id for photograph in photographs])
    write_splits(tmp_path / "splits.csv", splits)
    assert read_splits(tmp_path / "splits.csv") == splits


def test_a_missing_photograph_is_named(tmp_path: Path) -> None:
    _save(tmp_path, "ISIC_0000001", draw_photograph(1))
    rows = "L1,ISIC_0000001,nv,histo,40.0,male,back,x\nL2,ISIC_0000002,mel,histo,,male,back,x\n"
    (tmp_path / "HAM10000_metadata.csv").write_text(HEADER + rows)
    with pytest.raises(DataError, match=r"1 of 2 photographs are missing.*ISIC_0000002"):
        read_photographs(tmp_path)


def test_a_folder_without_metadata_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Name the data set's folder with --data"):
        read_photographs(tmp_path)
