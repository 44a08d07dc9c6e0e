"""`reproduce brainmr` on the tiny cohort."""

import json
import shutil

import pytest
from conftest import undrawn

from kerasgan import experiment
from kerasgan.errors import UserError
from kerasgan.evaluation.turing.answers import record, session_of
from kerasgan.experiment.studies import brainmr as studies
from kerasgan.experiment.turing import trial_of
from kerasgan.papers.brainmr import study
from kerasgan.papers.brainmr.study import Ratings, Row


@pytest.fixture(scope="module")
def options(sagittal_folder, brainmr_overrides):
    overrides = [*brainmr_overrides, "study.held_out=false"]
    return {"data": sagittal_folder, "overrides": overrides, "models": ("dcgan",), "sequences": ("T1",), "quiet": True}


@pytest.fixture(scope="module")
def folder(options, tmp_path_factory):
    with undrawn():
        return experiment.reproduce_brainmr(out=tmp_path_factory.mktemp("study") / "study", **options)


def test_tables_name_the_data_and_show_the_printed_beside_ours(folder):
    text = (folder / "tables.md").read_text()
    assert "BraTS" in text or "brats" in text
    assert "T1 (DCGAN, 128x128)" in text and "| 70 " in text and "26 24 6 44" in text
    assert "DCGAN 15 steps" in text
    assert "No memorisation report" in text
    assert "nobody has taken its test" in text and "kerasgan turing --real" in text


def test_every_number_can_be_traced(folder):
    (row,) = json.loads((folder / "results.json").read_text())["rows"]
    run = folder / row["folder"]
    assert (run / "run.json").is_file() and not (run / "checkpoints").exists()
    results = json.loads((run / "comparison.json").read_text())["results"]
    assert results["c2st"]["numbers"]["CNN, real and synthetic"]["accuracy"] == row["measures"]["cnn"]
    assert results["kid"]["backbone"].startswith("encoder")
    assert results["fid"]["sets"]["real"]["images"] == results["fid"]["sets"]["synthetic"]["images"] == 20


def test_the_figure_has_a_line_per_row_of_the_table(folder, options, monkeypatch):
    sheets = {}
    monkeypatch.setattr(studies, "image_sheet", lambda path, *given: sheets.update({path.name: given}))
    experiment.reproduce_brainmr(out=folder, **options)
    ((name, (images, rows, columns, title)),) = sheets.items()
    assert (name, images.shape) == ("figure3.png", (1, 8, 32, 32))
    assert (rows, columns) == (["T1, 32x32"], ["synthetic"])
    assert title.startswith("DCGAN after 15 generator steps of ") and "; data: BraTS folders in" in title
    assert (folder / name).is_file()


def test_what_is_done_is_not_done_again(folder, options, capsys):
    before = {
        path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name in ("run.json", "encoder-32.keras")
    }
    experiment.reproduce_brainmr(out=folder, **options | {"quiet": False})
    said = capsys.readouterr().err
    assert said.count(": done") == 3, said
    assert all(path.stat().st_mtime_ns == then for path, then in before.items())
    longer = [*options["overrides"], "comparison.images=10"]
    experiment.reproduce_brainmr(out=folder, dry_run=True, **options | {"quiet": False, "overrides": longer})
    said = capsys.readouterr().err
    assert said.count(": would be done") == 1 and "comparison with real images: would be done" in said


@pytest.mark.parametrize("change", ["comparison.encoder_epochs=2", "comparison.seed=5", "study.partition=1"])
def test_an_encoder_of_other_settings_is_trained_anew(folder, options, change, capsys):
    overrides = [*options["overrides"], change]
    experiment.reproduce_brainmr(out=folder, dry_run=True, **options | {"quiet": False, "overrides": overrides})
    wanted = "done" if change == "study.partition=1" else "would be done"
    assert f"features of 32x32 images: {wanted}" in capsys.readouterr().err


def test_what_would_stop_the_study_is_found_before_the_training(options, tmp_path):
    overrides = [*options["overrides"], "dcgan.batch_size=5000"]
    with pytest.raises(UserError, match="to learn from, a step takes 5000"):
        experiment.reproduce_brainmr(out=tmp_path / "new", dry_run=True, **options | {"overrides": overrides})


def test_an_encoder_without_its_card_is_trained_anew(folder, options, tmp_path, capsys):
    copied = shutil.copytree(folder, tmp_path / "study")
    (copied / "encoder-32.json").unlink()
    experiment.reproduce_brainmr(out=copied, dry_run=True, **options | {"quiet": False})
    assert "features of 32x32 images: would be done" in capsys.readouterr().err


def rated(study_folder, data, **chosen):
    """A test of the row T1, which a rater has finished."""
    out = study_folder / "turing" / "dcgan-t1-32"
    shutil.rmtree(out, ignore_errors=True)
    trial = trial_of(out, data, study_folder / "dcgan" / "t1-32", count=2, **{"sequence": "t1"} | chosen)
    for image in session_of(trial, "Anna").order:
        record(trial, "Anna", "answer", image, "real")
    record(trial, "Anna", "finish")
    return out / "trial.json"


def test_answers_to_tests_of_the_run_are_shown_and_others_refused(folder, options, tmp_path):
    copied, data = shutil.copytree(folder, tmp_path / "study"), options["data"]
    known = rated(copied, data, where="grade=HGG")
    experiment.reproduce_brainmr(out=copied, **options)
    (row,) = json.loads((copied / "results.json").read_text())["rows"]
    assert row["ratings"] == {"raters": 1, "accuracy": 0.5, "counts": [2, 0, 2, 0]}
    content = json.loads(known.read_text())
    content["made_from"]["generator"] = "that of an earlier run"
    known.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"dcgan-t1-32 holds a test of other images .*: move it away"):
        experiment.reproduce_brainmr(out=copied, **options)
    rated(copied, data)
    with pytest.raises(UserError, match="holds a test of other images"):
        experiment.reproduce_brainmr(out=copied, **options)


def test_a_sequence_that_the_cohort_lacks(options, tmp_path):
    with pytest.raises(UserError, match="pd"):
        experiment.reproduce_brainmr(out=tmp_path, **options | {"sequences": ("pd",)})


def test_ratings_stand_beside_the_physicians():
    rated = Row("wgan", "concat", 64, 64, "run", {}, Ratings(2, 0.545, (60, 40, 51, 49)))
    table = study.rater_table([rated])
    assert table.rows == [["Concat (WGAN, 64x64)", "53", "18 32 15 35", "64x64", "2", "54.5", "60 40 51 49"]]
    measured = study.measured_table([rated], [])
    assert measured.rows[0][1:] == ["–"] * len(study.MEASURES)
