import json
import shutil
from functools import partial

import command_line
import pytest
from conftest import SMALL

from kerasgan import experiment
from kerasgan.data.prepare import open_prepared
from kerasgan.evaluation import forest
from kerasgan.experiment.radiomics import study_prediction
from kerasgan.papers import settings_of

FAST = ["--folds", 2, "--repeats", 2, "--quiet"]


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr(forest, "TREES", 30)


run = partial(command_line.result, "evaluate", "radiomics")
sentence = partial(command_line.sentence, "evaluate", "radiomics")


def changed(prepared_folder, tmp_path, change):
    """A copy of a prepared folder, with `change(number, visit)` applied to each visit of its manifest."""
    folder = tmp_path / "prepared"
    shutil.copytree(prepared_folder, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    for number, visit in enumerate(manifest["visits"]):
        change(number, visit)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_the_table_and_its_json(prepared_folder, tmp_path):
    out = tmp_path / "new" / "radiomics.json"
    output = run("--data", prepared_folder, "--out", out, *FAST).stdout
    assert "BraTS folders in" in output, "which data"
    assert "10 patients (idh: 5 mutant, 5 wildtype), T1, T1e, T2, FLAIR" in output
    assert "| auc " in output
    assert "accuracy of always the larger class | 50.0" in output
    result = json.loads(out.read_text())
    assert result["data_hash"] == open_prepared(prepared_folder).hash
    assert result["patients"] == {"mutant": 5, "wildtype": 5}
    assert (result["folds"], result["repeats"], result["seed"]) == (2, 2, 1)
    assert result["per_fold"]["auc"]["mean"] > 0.9, "the tumours of wild-types enhance"
    assert any("t1e" in name for name in result["importance"])


def test_same_seed_same_table(prepared_folder):
    one, two = (run("--data", prepared_folder, *FAST).stdout for _ in range(2))
    assert one == two


def test_standard_error_names_the_data_and_quiet_says_nothing(prepared_folder):
    assert run("--data", prepared_folder, *FAST).stderr == ""
    assert "data: BraTS folders in" in run("--data", prepared_folder, *FAST[:-1]).stderr


def test_modalities_are_a_setting(prepared_folder):
    output = run("--data", prepared_folder, *FAST, "--set", "classifier.modalities=[flair]").stdout
    assert "5 wildtype), FLAIR\n" in output
    assert "t1e" not in output


def test_without_data_it_takes_simulated_heads(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASGAN_CACHE", str(tmp_path))
    tiny = ["phantom.patients=6", "phantom.grid=48", "phantom.idh_fraction=0.5", "data.min_gap=1", SMALL[0]]
    words = [word for override in tiny for word in ("--set", override)]
    result = run("--folds", 2, "--repeats", 1, *words)
    assert "data: simulated phantom cohort (seed 7, grid 48, 6 patients)" in result.stderr
    assert "(–)" in result.stdout, "one repeat has no standard deviation"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "classifier.label=idg"], "no label column 'idg'; did you mean 'idh'?"),
        (["--set", "classifier.positive=mut"], "'mutant' in the label column 'idh'; expected 'mut' or 'wildtype'"),
        (["--folds", 6], "5 patients of class 'mutant', fewer than 6 folds"),
        (["--profile", "smoke", "--set", "classifier.lable=idh"], "unknown key 'classifier.lable'"),
    ],
)
def test_bad_settings_are_one_sentence(prepared_folder, words, message):
    assert message in sentence("--data", prepared_folder, "--quiet", *words)


def test_no_folder(tmp_path):
    assert "there is no folder" in sentence("--data", tmp_path / "nowhere")


def test_one_class(prepared_folder, tmp_path):
    folder = changed(prepared_folder, tmp_path, lambda number, visit: visit["labels"].update(idh="mutant"))
    assert "all 10 patients are 'mutant'" in sentence("--data", folder, *FAST)


def test_no_labels(prepared_folder, tmp_path):
    folder = changed(prepared_folder, tmp_path, lambda number, visit: visit["labels"].clear())
    assert "it has no labels at all" in sentence("--data", folder, *FAST)


def test_visits_of_a_patient_that_contradict_each_other(prepared_folder, tmp_path):
    folder = changed(prepared_folder, tmp_path, lambda number, visit: visit.update(patient=f"p{number // 2}"))
    assert "the visits of p0 have both values" in sentence("--data", folder, *FAST)


def test_visits_of_a_patient_are_one_patient(prepared_folder, tmp_path):
    folder = changed(prepared_folder, tmp_path, lambda number, visit: visit.update(patient=f"p{number % 8}"))
    assert "8 patients (idh: 4 mutant, 4 wildtype)" in run("--data", folder, *FAST).stdout


def test_visits_with_synthetic_images_are_left_out(prepared_folder, tmp_path):
    def fill(number, visit):
        if number == 0:
            visit["labels"]["synthetic"] = "t2 from flair by RUN"

    folder = changed(prepared_folder, tmp_path, fill)
    result = run("--data", folder, *FAST[:-1])
    assert "left out: 1 visits with synthetic images" in result.stderr
    assert "9 patients (idh: 5 mutant, 4 wildtype)" in result.stdout


def test_the_study_judges_the_test_patients_of_a_partition(prepared_folder):
    prepared, classifier = open_prepared(prepared_folder), settings_of("classifier").classifier
    labels = {visit.patient: visit.labels["idh"] for visit in prepared.manifest.visits}
    scores = {0: [], 1: []}
    for partition in (1, 2, 3):
        patients, truth, score, decision = study_prediction(prepared, partition, ("t1", "t1e", "flair"), classifier)
        assert sorted(patients) == prepared.manifest.partitions[partition - 1]["test"]
        assert truth.tolist() == [int(labels[patient] == "mutant") for patient in patients]
        assert set(decision.tolist()) <= {0, 1}
        for own, number in zip(truth.tolist(), score.tolist(), strict=True):
            scores[own].append(number)
    assert sum(scores[1]) / len(scores[1]) > sum(scores[0]) / len(scores[0]) + 0.2


def test_the_study_never_learns_from_test_patients(prepared_folder, tmp_path):
    """What is predicted does not change with the labels of the patients that are not in training."""
    prepared = open_prepared(prepared_folder)
    held_out = {p for subset in ("validation", "test") for p in prepared.manifest.partitions[0][subset]}

    def swap(number, visit):
        if visit["patient"] in held_out:
            visit["labels"]["idh"] = {"mutant": "wildtype", "wildtype": "mutant"}[visit["labels"]["idh"]]

    other = open_prepared(changed(prepared_folder, tmp_path, swap))
    classifier = settings_of("classifier").classifier
    one, two = (study_prediction(each, 1, ("t1", "flair"), classifier) for each in (prepared, other))
    assert one[1].tolist() == (1 - two[1]).tolist()
    assert one[2].tolist() == two[2].tolist()


def test_the_python_function_needs_no_file(prepared_folder):
    result = experiment.evaluate_radiomics(data=prepared_folder, folds=2, repeats=1, quiet=True)
    assert result.majority_rate == 0.5
    assert result.per_repeat["auc"]["std"] is None
