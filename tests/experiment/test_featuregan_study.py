"""`reproduce featuregan` on the tiny cohort, and its tables."""

import json
import shutil

import pytest
from PIL import Image

from kerasgan import experiment
from kerasgan.errors import UserError
from kerasgan.papers.featuregan import study
from kerasgan.papers.featuregan.settings import StudySettings
from kerasgan.papers.featuregan.study import Point


@pytest.fixture(scope="module")
def options(graded_folder, featuregan_overrides):
    return {"data": graded_folder, "overrides": featuregan_overrides, "quiet": True}


@pytest.fixture(scope="module")
def folder(options, unet_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "study"
    shutil.copytree(unet_run, out / "unet")  # trained with the same settings on the same data
    return experiment.reproduce_featuregan(out=out, **options)


def test_tables_name_the_data_and_show_the_printed_beside_ours(folder):
    text = (folder / "tables.md").read_text()
    assert "Ours on: BraTS folders in" in text and "weights to begin with: random (of BraTS)" in text
    assert "0.74 and 0.79 survive" in text
    assert "0.95 / 0.05 / 0.61" in text and "HGG always" in text
    assert "features of encoder4 4x4x8 (15x15x1024)" in text


def test_every_number_can_be_traced(folder):
    results = json.loads((folder / "results.json").read_text())
    assert [each["count"] for each in results["sweep"]] == [0, 4]
    for point in results["sweep"]:
        runs = [folder / "classifier" / f"{point['count']:04}" / f"seed-{seed}" for seed in (1, 2)]
        measured = [json.loads((run / "metrics.json").read_text())["network"] for run in runs]
        assert point["values"]["total"] == [each["total"] for each in measured]
        assert not any((run / "checkpoints").exists() for run in runs)
    assert [each["width"] for each in results["acgan"]] == [4, 6]
    assert (folder / "table3.csv").read_text().startswith("# Table 3")
    with Image.open(folder / "sweep.png") as picture:
        assert min(picture.size) > 300
    assert {"figure9.png", "figure10_4.png", "figure10_6.png"} <= {path.name for path in folder.iterdir()}


def test_what_is_done_is_not_done_again(folder, options, capsys):
    before = {
        path: path.stat().st_mtime_ns for path in folder.rglob("*.json") if path.name in ("run.json", "manifest.json")
    }
    experiment.reproduce_featuregan(out=folder, **options | {"quiet": False})
    assert capsys.readouterr().err.count(": done") == 9
    assert all(path.stat().st_mtime_ns == then for path, then in before.items())


def test_more_samples_make_synthetic_features_and_their_classifiers_anew(folder, options, tmp_path, capsys):
    copied = shutil.copytree(folder, tmp_path / "study")
    overrides = [*options["overrides"], "sweep.counts=[0,4,6]"]
    experiment.reproduce_featuregan(out=copied, dry_run=True, **options | {"quiet": False, "overrides": overrides})
    said = capsys.readouterr().err
    assert said.count(": done") == 9 and "classifier with 6 synthetic features, 1 of 2: would be done" in said
    manifest = copied / "synthetic.json"
    manifest.write_text(manifest.read_text().replace('"seed": 1', '"seed": 9'))  # as if made by another seed
    experiment.reproduce_featuregan(out=copied, **options)
    assert '"seed": 1' in manifest.read_text()
    assert (
        json.loads((copied / "results.json").read_text())["sweep"]
        == json.loads((folder / "results.json").read_text())["sweep"]
    ), "the same features, so the same trainings"


def test_what_would_stop_the_study_is_found_before_the_training(options, tmp_path):
    for override, message in (
        ("study.label=side", "has no value in the label column 'side'"),
        ("unet.weights=gone.npz", r"there is no file gone\.npz"),
    ):
        overrides = [*options["overrides"], override]
        with pytest.raises(UserError, match=message):
            experiment.reproduce_featuregan(out=tmp_path / "new", dry_run=True, **options | {"overrides": overrides})


def test_dry_run_before_anything_is_there(options, tmp_path, capsys):
    experiment.reproduce_featuregan(out=tmp_path / "new", dry_run=True, **options | {"quiet": False})
    assert capsys.readouterr().err.count("would be done") == 9
    assert not (tmp_path / "new").exists()


def test_an_interval_by_hand():
    # Of 0.4, 0.5, 0.6: mean 0.5, standard deviation 0.1, Student's quantile of 2 degrees of freedom 4.302653.
    half = 4.302653 * 0.1 / 3**0.5
    assert study.interval([0.4, 0.5, 0.6], 0.95) == pytest.approx((0.5, 0.5 - half, 0.5 + half), abs=1e-6)
    assert study.interval([0.9, 1, 1], 0.95)[2] == 1, "a share has no bound beyond 1"


def test_a_point_of_the_paper_shows_the_papers_numbers():
    own = StudySettings(
        modalities=["flair"], partition=1, label="grade", negative="LGG", positive="HGG", validate_on="test"
    )
    values = {"class0": [0.1, 0.3], "class1": [0.5, 0.5], "total": [0.4, 0.4], "balanced": [0.3, 0.4]}
    values |= {"auc": [0.5, 0.6], "patient_auc": [0.7, 0.8]}
    linear = {"class0": 0.0, "class1": 1.0, "total": 0.6, "balanced": 0.5, "auc": 0.5, "patient_auc": 0.5}
    points = [Point(0, {"LGG": 0, "HGG": 0}, values), Point(1158, {"LGG": 600, "HGG": 558}, values)]
    table = study.sweep_table(points, linear, own, 0.95, [])
    assert [row[-1] for row in table.rows] == ["HGG always", "0.95 / 0.05 / 0.61", "0.569 / 0.384 / 0.524"]
    assert table.rows[1][2].startswith("0.500 [0.500, 0.500]") and table.rows[1][3].startswith("0.200 [")
    assert list(table.header[2:4]) == ["HGG", "LGG"]
    assert [row[1] for row in table.rows] == ["0", "0", "1158 (600 LGG, 558 HGG)"]
