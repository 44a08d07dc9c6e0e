import json
import shutil
import sys
from functools import partial

import command_line
import numpy as np
import pytest

from kerasgan import experiment
from kerasgan.data.imagesets import write_images
from kerasgan.evaluation.turing.answers import record, session_of
from kerasgan.evaluation.turing.trial import open_trial

run = partial(command_line.result, "turing")
sentence = partial(command_line.sentence, "turing")


@pytest.fixture(autouse=True)
def served(monkeypatch):
    """What would have been served: a list of (test, port)."""
    found = []

    def serve(trial, port, announce):
        found.append((trial, port))
        announce("http://127.0.0.1:1234/")

    monkeypatch.setattr(sys.modules[experiment.turing.__module__], "serve", serve)
    return found


def pictures(folder, count=12, size=32, seed=1, sequence=""):
    noise = np.random.default_rng(seed).uniform(-1, 1, (count, size, size)).astype(np.float32)
    write_images(folder, [noise], "png", 8, "sagittal", {"origin": f"noise {seed}", "sequence": sequence})
    return folder


@pytest.fixture
def fakes(tmp_path):
    return pictures(tmp_path / "fakes")


def test_a_test_of_a_prepared_folder_and_images(sagittal_folder, fakes, tmp_path, served):
    out = tmp_path / "results"
    output = run("--real", sagittal_folder, "--synthetic", fakes, "--out", out, "--count", 8, "--seed", 3).output
    assert "16 images of 32x32, real: BraTS folders in" in output and "synthetic: noise 1" in output
    assert f"The test is at http://127.0.0.1:1234/ until Ctrl-C; answers in {out}" in output
    ((trial, port),) = served
    assert port == 8765 and trial.seed == 3
    real = [item for item in trial.items if item.real]
    assert sorted(item.sequence for item in real) == sorted(("t1", "t1e", "t2", "flair") * 2), "equal shares"
    assert [item.real for item in trial.items].count(False) == 8


def test_choices_of_real_images(sagittal_folder, fakes, tmp_path, served):
    words = ["--real", sagittal_folder, "--synthetic", fakes, "--size", 16, "--count", 4, "--port", 0]
    run(*words, "--out", tmp_path / "a", "--sequence", "T1ce", "--subset", "test")
    ((trial, port),) = served
    assert port == 0 and trial.pixels.shape == (8, 16, 16)
    assert {item.sequence for item in trial.items if item.real} == {"t1e"}
    run(*words, "--out", tmp_path / "b", "--sequence", "t2", "--where", "grade=HGG")
    assert {item.sequence for item in served[-1][0].items if item.real} == {"t2"}


def test_a_test_of_a_run(sagittal_folder, noise_run, tmp_path, served):
    words = ["--real", sagittal_folder, "--sequence", "t1", "--synthetic", noise_run, "--out", tmp_path / "r"]
    run(*words, "--count", 3)
    run(*words, "--count", 3)
    first, second = (trial for trial, _ in served)
    assert first.items == second.items, "the same command goes on with the same test"
    assert "trained on" in first.synthetic
    assert "another test, of number of images 6 instead of 8" in sentence(*words, "--count", 4)
    assert "of seed 1 instead of 2" in sentence(*words, "--count", 3, "--seed", 2)


def test_a_sequence_against_the_union_of_all(sagittal_folder, noise_run, tmp_path, served):
    union = shutil.copytree(noise_run, tmp_path / "union")
    known = json.loads((union / "run.json").read_text())
    known["target"]["sequence"] = "concat"
    (union / "run.json").write_text(json.dumps(known))
    made = experiment.generate(union, tmp_path / "made", count=4, quiet=True)
    for synthetic in (union, made):
        out = tmp_path / f"test of {synthetic.name}"
        words = ["--real", sagittal_folder, "--synthetic", synthetic, "--count", 4, "--out", out]
        said = sentence(*words, "--sequence", "t1")
        assert "real images are of t1, the synthetic ones of t1, t1e, t2, flair" in said and "--sequence concat" in said
        run(*words, "--sequence", "concat")
    assert len(served) == 2


def test_out_alone_goes_on(fakes, tmp_path, served):
    out = tmp_path / "results"
    run("--real", pictures(tmp_path / "reals", seed=2), "--synthetic", fakes, "--out", out, "--count", 5)
    shutil.rmtree(fakes)
    run("--out", out)
    assert served[0][0].items == served[1][0].items
    assert "--seed is of a new test" in sentence("--out", out, "--seed", 1)
    assert "holds no Visual Turing Test" in sentence("--out", tmp_path / "other")


def test_an_opened_browser(fakes, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("webbrowser.open", lambda address: bool(asked.append(address)))
    words = [
        "--real",
        pictures(tmp_path / "reals", seed=2),
        "--synthetic",
        fakes,
        "--out",
        tmp_path / "r",
        "--count",
        2,
    ]
    run(*words)
    assert asked == []
    assert "No browser was found" in run(*words, "--open").output
    assert asked == ["http://127.0.0.1:1234/"]


def test_bad_words(sagittal_folder, fakes, noise_run, tmp_path):
    out, real = ["--out", tmp_path / "r"], ["--real", sagittal_folder]
    assert "Missing option '--out'" in sentence(*real, "--synthetic", fakes)
    assert "--synthetic is missing" in sentence(*real, *out)
    assert "--real is missing" in sentence("--synthetic", fakes, *out)
    assert "is a prepared folder, whose images are real" in sentence(*real, "--synthetic", sagittal_folder, *out)
    assert "is a run, whose images are synthetic" in sentence("--real", noise_run, "--synthetic", fakes, *out)
    assert "there is no folder" in sentence(*real, "--synthetic", tmp_path / "none", *out)
    assert "noise 1 has 12 images, 50 are needed" in sentence("--real", fakes, "--synthetic", fakes, *out)
    small = pictures(tmp_path / "small", size=16)
    assert "32x32 pixels, the synthetic ones 16x16" in sentence(*real, "--synthetic", small, *out, "--count", 4)
    flair = pictures(tmp_path / "flair", sequence="flair")
    words = ["--synthetic", flair, "--sequence", "t1", *out, "--count", 4]
    assert "the real images are of t1, the synthetic ones of flair" in sentence(*real, *words)
    assert "has 12 images, 13 are needed" in sentence(*real, "--synthetic", fakes, *out, "--count", 13)
    assert not (tmp_path / "r").exists(), "nothing is left of a test that could not be made"
    assert "0<=x<=65535" in run("--port", 65536, code=2).output


def test_report(fakes, tmp_path):
    out = tmp_path / "results"
    run("--real", pictures(tmp_path / "reals", seed=2), "--synthetic", fakes, "--out", out, "--count", 5)
    before = run("report", out).output
    assert "Nobody has finished the test yet" in before
    assert "noise 2, against noise 1" in before
    trial = open_trial(out)
    for name in ("Anna", "Ben"):
        for image in session_of(trial, name).order:
            real = trial.items[trial.number[image]].real
            record(trial, name, "answer", image, "real" if real or name == "Ben" else "synthetic")
        record(trial, name, "finish")
    text = run("report", out).output
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    rows = {line[0]: line[1:] for line in lines}
    assert rows["Anna"] == ["10", "100.0", "72.2 to 100.0", "0.002", "5", "0", "0", "5"]
    assert rows["Ben"] == ["10", "50.0", "23.7 to 76.3", "1.000", "5", "0", "5", "0"]
    assert rows["all 2 raters"] == ["20", "75.0", "–", "–", "10", "0", "5", "5"]
    published = [name for name in rows if name.startswith("Han 2018")]
    assert len(published) == 12
    assert rows["Han 2018, T1 (DCGAN, 128x128)"] == ["100", "70.0", "60.4 to 78.1", "< 0.001", "26", "24", "6", "44"]
    assert "Fleiss' kappa of the 2 raters: " in text


def test_report_takes_no_options_of_a_test(tmp_path):
    assert "expected `kerasgan turing report RESULTS`" in sentence("--out", tmp_path, "report", tmp_path)
    assert "expected `kerasgan turing report RESULTS`" in sentence("--seed", 0, "report", tmp_path)


def test_report_of_what_is_no_results_folder(tmp_path):
    assert "holds no Visual Turing Test" in sentence("report", tmp_path)
    (tmp_path / "trial.json").write_text(json.dumps({"items": []}))
    assert "is damaged" in sentence("report", tmp_path)
