"""From GANs to tables, on the tiny cohort with two modalities: enlarge, train the classifier, reproduce."""

import csv
import json
import shutil
from contextlib import nullcontext

import keras
import numpy as np
import pytest
from conftest import SMALL, narrow, undrawn

from kerasgan import experiment
from kerasgan.data.pipeline import arrays_of
from kerasgan.data.prepare import open_prepared
from kerasgan.errors import UserError
from kerasgan.experiment.runs import open_run
from kerasgan.gan import checkpoint
from kerasgan.gan.training import Stopped
from kerasgan.papers.pairwise.enlarging import open_enlarged

TWO = (*SMALL, "classifier.modalities=[t1,t1e]", "training.epochs=1", "training.validate_every=1")
ASSETS = ("classifier.keras", "predictions.csv", "patients.csv", "metrics.json", "quality.md", "report.html")
PICTURES = ("evaluation.png", "attention.png", "gradcam.png", "curves.png")


def classifier(folder, data, *overrides, figures=undrawn, **options):
    options = {"quiet": True} | options
    with figures():
        return experiment.train("classifier", data=data, overrides=[*TWO, *overrides], run_dir=folder, **options)


@pytest.fixture(scope="module")
def gans(prepared_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gans") / "all"
    more = {"data": prepared_folder, "overrides": TWO, "run_dir": folder, "quiet": True}
    with narrow():
        return experiment.train("pairwise", pair=("all",), **more)


@pytest.fixture(scope="module")
def enlarged(gans, tmp_path_factory):
    return experiment.enlarge(gans, tmp_path_factory.mktemp("set") / "enlarged", quiet=True).folder


@pytest.fixture(scope="module")
def finished(enlarged, prepared_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "enlarged-a"
    return classifier(folder, prepared_folder, stage1=enlarged, figures=nullcontext)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_synthetic_slices_are_the_generators_own(gans, enlarged, prepared_folder):
    found, prepared = open_enlarged(enlarged), open_prepared(prepared_folder)
    assert "S2 6 patients / 36 slices" in found.describe()
    assert found.manifest.data == prepared.hash
    visit = found.manifest.visits[0]
    assert visit.made == {"t1": "t1e", "t1e": "t1"}
    source = [v for v in prepared.manifest.visits if v.name == visit.source]
    real, made = arrays_of(prepared, source, ("t1", "t1e")), arrays_of(found, [visit], ("t1", "t1e"))
    generator = keras.saving.load_model(gans / "t1-t1e" / "generators" / "t1_to_t1e.keras", compile=False)
    wanted = generator.predict(real["t1"][..., None], verbose=0)[..., 0]
    np.testing.assert_allclose(made["t1e"], wanted, atol=1e-4)
    assert found.manifest.generators["t1_to_t1e"].run == "t1-t1e"


def test_same_seed_same_bytes_and_nothing_is_overwritten(gans, enlarged, tmp_path):
    again = experiment.enlarge(gans, tmp_path / "again", quiet=True)
    for visit in again.manifest.visits:
        assert again.shard(visit).read_bytes() == open_enlarged(enlarged).shard(visit).read_bytes()
    with pytest.raises(UserError, match="exists; give another --out, or --force"):
        experiment.enlarge(gans, tmp_path / "again", quiet=True)
    experiment.enlarge(gans, tmp_path / "again", force=True, quiet=True)
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match=r"exists; give another --out, or remove it"):
        experiment.enlarge(gans, tmp_path / "mine", force=True, quiet=True)


def test_a_gan_that_has_seen_other_patients_is_refused(gans, cohort_csv, prepared_folder, tmp_path):
    other = tmp_path / "other"
    experiment.prepare(cohort_csv, other, overrides=[*TWO, "split.seed=5"], quiet=True)
    with pytest.raises(UserError, match="was prepared with other settings"):
        experiment.enlarge(gans, tmp_path / "out", data=other, quiet=True)
    copy = tmp_path / "copy"
    shutil.copytree(prepared_folder, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    first = manifest["partitions"][0]
    first["train"][0], first["test"][0] = first["test"][0], first["train"][0]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="may have seen validation or test patients"):
        experiment.enlarge(gans, tmp_path / "out", data=copy, quiet=True)
    with pytest.raises(UserError, match="trained for case a"):
        experiment.enlarge(gans, tmp_path / "out", case="b", quiet=True)
    assert not (tmp_path / "out").exists()


def test_a_finished_classifier_leaves_everything_behind(finished, prepared_folder):
    for name in (*ASSETS, *PICTURES):
        assert (finished / name).is_file(), name
    metrics = json.loads((finished / "metrics.json").read_text())
    predictions, patients = rows(finished / "predictions.csv"), rows(finished / "patients.csv")
    assert [row["epoch"] for row in rows(finished / "history.csv")] == ["1", "2", "3", "4", "5"], "stage 2 counts on"
    test = [row for row in predictions if row["subset"] == "test"]
    assert len(test) == metrics["test"]["slices"]["n"] == 12
    # The vote, eq. (6), and the accuracy, again from the slices.
    right = 0
    for row in (row for row in patients if row["subset"] == "test"):
        votes = [float(s["probability"]) > 0.5 for s in test if s["patient"] == row["patient"]]
        assert int(row["decision"]) == int(sum(votes) > len(votes) / 2)
        right += row["decision"] == row["truth"]
    assert metrics["test"]["patients"]["accuracy"] == pytest.approx(right / 2)
    assert all(float(s["attention_t1"]) + float(s["attention_t1e"]) == pytest.approx(1, abs=2e-4) for s in predictions)
    held_out = {p for s in ("validation", "test") for p in open_prepared(prepared_folder).manifest.partitions[0][s]}
    assert {row["patient"] for row in predictions} == held_out
    assert "Grad-CAM" in (finished / "report.html").read_text()


def test_the_delivered_network_is_the_best_epoch_of_the_last_stage(finished):
    saved, position = checkpoint.read(finished / "checkpoints" / "stage2" / "best.npz")
    network = keras.saving.load_model(finished / "classifier.keras", compile=False)
    weights = [saved[name] for name in sorted(saved) if name.startswith("network/0/")]
    for got, wanted in zip(network.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(got, wanted)
    scores = [float(row["validation_accuracy"]) for row in rows(finished / "history.csv")[3:]]
    assert position.best == pytest.approx(max(scores), abs=1e-4)


def test_stage_2_begins_with_the_best_weights_of_stage_1(finished):
    """At rates of 1e-6, two epochs move no weight by more than a few millionths a step."""
    first, _ = checkpoint.read(finished / "checkpoints" / "stage1" / "best.npz")
    second, _ = checkpoint.read(finished / "checkpoints" / "stage2" / "latest.npz")
    kernels = [name for name in first if name.startswith("network/0/") and first[name].ndim == 4]
    assert all(np.abs(first[name] - second[name]).max() < 1e-4 for name in kernels)
    assert any(np.abs(first[name] - second[name]).max() > 0 for name in kernels)


def test_an_interrupted_classifier_goes_on_to_the_same_weights(
    finished, enlarged, prepared_folder, tmp_path, monkeypatch
):
    from kerasgan.gan.training import _Keeper

    end, count = _Keeper.on_train_batch_end, iter(range(10**6))

    def interrupt(self, batch, logs=None):
        if next(count) == 33:  # in stage 2: stage 1 has 27 steps
            self.requests.append(15)
        end(self, batch, logs)

    monkeypatch.setattr(_Keeper, "on_train_batch_end", interrupt)
    with pytest.raises(Stopped, match="of stage 2; the state is saved"):
        classifier(tmp_path / "run", prepared_folder, stage1=enlarged)
    monkeypatch.undo()
    assert not open_run(tmp_path / "run", finished=False).finished
    classifier(tmp_path / "run", None, resume=True)
    whole, _ = checkpoint.read(finished / "checkpoints" / "stage2" / "latest.npz")
    again, _ = checkpoint.read(tmp_path / "run" / "checkpoints" / "stage2" / "latest.npz")
    assert whole.keys() == again.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(again[name], array, err_msg=name)
    assert (tmp_path / "run" / "history.csv").read_text() == (finished / "history.csv").read_text()
    assert (tmp_path / "run" / "predictions.csv").read_text() == (finished / "predictions.csv").read_text()


def test_the_classifier_learns_what_shows(prepared_folder, tmp_path):
    """Tumours of wild-type patients enhance here."""
    quick = ["classifier.optimizer=adam", "classifier.stage1.epochs=20", "classifier.stage1.learning_rates=[0.003]"]
    quick += ["classifier.stage1.until=[]", "classifier.network.momentum=0.8", "classifier.mask_background=0.1"]
    folder = classifier(tmp_path / "run", prepared_folder, *quick, "classifier.positive_weight=1.0")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["test"]["patients"]["accuracy"] == metrics["validation"]["patients"]["accuracy"] == 1
    assert metrics["test"]["slices"]["auc"] > 0.9


def test_bad_input_is_named_before_anything_is_trained(enlarged, prepared_folder, cohort_csv, tmp_path):
    run = tmp_path / "run"
    with pytest.raises(UserError, match="made for case a of partition 1, not for case b of partition 1"):
        classifier(run, prepared_folder, "study.case=b", stage1=enlarged)
    with pytest.raises(UserError, match="has no value in the label column 'age'"):
        classifier(run, prepared_folder, "classifier.label=age")
    with pytest.raises(UserError, match=r"has '(mutant|wildtype)' in the label column 'idh'; expected 'ja' or 'nein'"):
        classifier(run, prepared_folder, "classifier.positive=ja", "classifier.negative=nein")
    with pytest.raises(UserError, match="no enlarged set"):
        classifier(run, prepared_folder, stage1=prepared_folder)
    other = tmp_path / "other"
    experiment.prepare(cohort_csv, other, overrides=[*TWO, "split.seed=5"], quiet=True)
    with pytest.raises(UserError, match="was made from another data set or split"):
        classifier(run, other, "split.seed=5", stage1=enlarged)
    copy = tmp_path / "copy"
    shutil.copytree(prepared_folder, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    by_patient = {visit["patient"]: visit["labels"] for visit in manifest["visits"]}
    for patient in manifest["partitions"][0]["validation"]:
        by_patient[patient]["idh"] = "mutant"
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="every validation patient of partition 1 is mutant; both classes are needed"):
        classifier(run, copy)
    assert not run.exists()


@pytest.fixture(scope="module")
def study(gans, enlarged, finished, prepared_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "study"
    # Made with the same settings from the same data; a study leaves no checkpoints.
    for there, name in ((gans, "gans-a"), (enlarged, "enlarged-a"), (finished, "prop-a")):
        shutil.copytree(there, folder / "run1" / name, ignore=shutil.ignore_patterns("checkpoints"))
    with narrow(), undrawn():
        return experiment.reproduce_pairwise(data=prepared_folder, runs=1, overrides=TWO, out=folder, quiet=True)


@pytest.mark.slow
def test_reproduce_writes_every_table_with_ours_beside_the_published(study, prepared_folder):
    text = (study / "tables.md").read_text()
    assert "Ours on: BraTS folders in" in text
    for number in range(2, 7):
        assert f"## Table {number}" in text
        assert (study / f"table{number}.csv").is_file()
    for printed in (
        "88.82 (6.37)",
        "88.23 (6.57)",
        "91.17/91.17",
        "81.15 (3.34)",
        "132.40 (17.05)",
        "radiomics forest, on S1",
    ):
        assert printed in text
    results = json.loads((study / "results.json").read_text())
    for trial in results["trials"]:
        if trial["folder"]:
            metrics = json.loads((study / trial["folder"] / "metrics.json").read_text())
            assert metrics["test"]["patients"]["accuracy"] == trial["measures"]["accuracy"]
    assert (study / "figure7.png").is_file()
    assert not list(study.glob("**/checkpoints"))
    # Case b trains on less: of six training patients one loses T1, another T1e.
    by_case = {case: open_enlarged(study / "run1" / f"enlarged-{case}").manifest.visits for case in "ab"}
    assert [len(visits) for visits in by_case.values()] == [6, 6]
    assert {visit.subset for visit in by_case["b"]} == {"S4", "S5"}


@pytest.mark.slow
def test_what_is_done_is_not_done_again(study, prepared_folder, capsys):
    before = {path: path.stat().st_mtime_ns for path in study.glob("run1/**/*") if path.is_file()}
    experiment.reproduce_pairwise(data=prepared_folder, runs=1, overrides=TWO, out=study)
    assert capsys.readouterr().err.count(": done") == 12
    assert {path: path.stat().st_mtime_ns for path in study.glob("run1/**/*") if path.is_file()} == before
    with pytest.raises(UserError, match=r"another configuration \(classifier.shift"):
        experiment.reproduce_pairwise(
            data=prepared_folder, runs=1, overrides=[*TWO, "classifier.shift=0.2"], out=study, quiet=True
        )


@pytest.mark.slow
def test_a_study_is_not_gone_on_with_on_other_data(study, prepared_folder, tmp_path):
    other = tmp_path / "prepared"
    shutil.copytree(prepared_folder, other)
    (other / "manifest.json").write_text((other / "manifest.json").read_text() + "\n")
    with pytest.raises(UserError, match="is not the data that"):
        experiment.reproduce_pairwise(data=other, runs=1, overrides=TWO, out=study, quiet=True)


@pytest.mark.slow
def test_what_learnt_from_an_enlarged_set_that_is_no_more_is_done_again(study, prepared_folder, tmp_path, capsys):
    copy = tmp_path / "study"
    shutil.copytree(study, copy)
    manifest = copy / "run1" / "enlarged-a" / "manifest.json"
    manifest.write_text(manifest.read_text() + "\n")
    experiment.reproduce_pairwise(data=prepared_folder, runs=1, overrides=TWO, out=copy, dry_run=True)
    again = [line for line in capsys.readouterr().err.splitlines() if "would be done" in line]
    assert [line.split("run 1: ")[1].split(":")[0] for line in again] == [
        "Prop-A",
        "Prop-A without mask",
        "likeness of real and synthetic images",
    ]


def test_a_dry_run_of_the_study_says_what_is_missing(prepared_folder, tmp_path, capsys):
    folder = experiment.reproduce_pairwise(
        data=prepared_folder, runs=2, cases=("a",), overrides=TWO, out=tmp_path / "study", dry_run=True
    )
    assert capsys.readouterr().err.count("would be done") == 16
    assert not folder.exists()
    with pytest.raises(UserError, match="has no value in the label column 'side'"):
        experiment.reproduce_pairwise(
            data=prepared_folder, runs=1, overrides=[*TWO, "classifier.label=side"], out=folder, dry_run=True
        )
    with pytest.raises(UserError, match=r"--runs must be from 1 to split\.partitions, 5; got 6"):
        experiment.reproduce_pairwise(data=prepared_folder, runs=6, overrides=TWO, out=folder)
