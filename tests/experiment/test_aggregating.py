"""`train aggrgan`, several at once too, and `aggregate`, on the tiny cohort."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from kerasgan import experiment
from kerasgan.data.imagesets import read_images
from kerasgan.data.prepare import open_prepared
from kerasgan.errors import UserError
from kerasgan.experiment import aggregating, parallel
from kerasgan.experiment.generation import generator_of
from kerasgan.experiment.parallel import train_at_once
from kerasgan.experiment.runs import open_run
from kerasgan.gan.training import Stopped
from kerasgan.papers import settings_of
from kerasgan.papers.aggrgan import making
from kerasgan.papers.aggrgan.aggregation import aggregate

MODELS = ("dcgan1", "dcgan2", "wgandiv")


@pytest.fixture(scope="module")
def options(classes_folder, aggrgan_overrides):
    return {"data": classes_folder, "overrides": aggrgan_overrides, "quiet": True}


@pytest.fixture(scope="module")
def runs(options, tmp_path_factory):
    """A class's three GANs, trained two at a time. Not to be written to."""
    folder = tmp_path_factory.mktemp("ensemble") / "mutant"
    return experiment.train("aggrgan", category="mutant", run_dir=folder, jobs=2, **options)


def test_all_three_are_there_and_what_is_done_is_not_done_again(runs, options):
    assert {path.name for path in runs.iterdir() if path.is_dir()} == set(MODELS)
    assert all(open_run(runs / model).target == {"category": "mutant"} for model in MODELS)
    before = {model: (runs / model / "run.json").stat().st_mtime_ns for model in MODELS}
    with pytest.raises(UserError, match="holds runs; go on with the group by --resume"):
        experiment.train("aggrgan", category="mutant", run_dir=runs, **options)
    experiment.train("aggrgan", category="mutant", run_dir=runs, resume=True, **options)
    # The class is one of the overrides: it is the begun group that knows it.
    experiment.train("aggrgan", category="mutant", run_dir=runs, resume=True, quiet=True)
    assert before == {model: (runs / model / "run.json").stat().st_mtime_ns for model in MODELS}


def test_an_ensemble_of_every_class_is_checked_first(options, tmp_path, capsys):
    experiment.train("aggrgan", category="all", run_dir=tmp_path, dry_run=True, **options | {"quiet": False})
    said = capsys.readouterr().err
    # Two tumours and four modalities of three models each.
    assert "18 of 18: wgandiv of flair" in said and "1 of 18: dcgan1 of mutant" in said
    assert not list(tmp_path.iterdir())


def test_what_a_process_says_last_is_the_error(tmp_path):
    arguments = {"model": "dcgan1", "category": "glioma", "data": str(tmp_path / "gone")}
    with pytest.raises(UserError, match=r"the first: .*gone.* \(all it printed: .*own\.log\)"):
        train_at_once(2, [("the first", tmp_path / "own.log", arguments)], quiet=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_each_process_once_and_none_begins_after_it(tmp_path, monkeypatch, number):
    program = (
        "import json, pathlib, signal, sys, time\n"
        "path, heard = pathlib.Path(json.loads(sys.argv[1])['path']), []\n"
        "for each in (signal.SIGINT, signal.SIGTERM):\n"
        "    signal.signal(each, lambda number, frame: heard.append(number))\n"
        "path.touch()\n"
        "while not heard: time.sleep(0.05)\n"
        "time.sleep(0.5)\n"
        "path.write_text(' '.join(map(str, map(int, heard))))\n"
    )
    monkeypatch.setattr(parallel, "PROGRAM", program)
    paths = [tmp_path / f"{n}.txt" for n in range(3)]

    def ask():
        while not (paths[0].exists() and paths[1].exists()):
            time.sleep(0.05)
        os.kill(os.getpid(), number)

    asking = threading.Thread(target=ask)
    asking.start()
    with pytest.raises(Stopped, match="stopped; what was saved last is kept") as ended:
        train_at_once(2, [(path.stem, path.with_suffix(".log"), {"path": str(path)}) for path in paths], quiet=True)
    asking.join()
    assert ended.value.signal_number == number
    assert [path.read_text() for path in paths[:2]] == [str(int(number))] * 2
    assert not paths[2].exists()


def is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # One that nobody waits for stays as a zombie where the machine's first process reaps none.
    state = Path(f"/proc/{process}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until(condition, seconds=600):
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kills by signals")
def test_a_parent_that_is_killed_takes_its_processes_along(tmp_path):
    child = (
        "import os, pathlib, sys, time; from kerasgan.experiment import parallel, training\n"
        "def train(path, quiet):\n"
        "    pathlib.Path(f'{path}.part').write_text(str(os.getpid()))\n"
        "    os.replace(f'{path}.part', path)\n"
        "    time.sleep(600)\n"
        "training.train = train\n"
        "parallel.main(sys.argv[1])\n"
    )
    parent = (
        "import sys, pathlib; from kerasgan.experiment import parallel\n"
        f"parallel.PROGRAM = {child!r}\n"
        "trainings = [(name, pathlib.Path(f'{name}.log'), {'path': name}) for name in 'ab']\n"
        "parallel.train_at_once(2, trainings, quiet=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], cwd=tmp_path)
    files = [tmp_path / name for name in "ab"]
    wait_until(lambda: all(path.exists() for path in files) or process.poll() is not None)
    children = [int(path.read_text()) for path in files]
    assert all(map(is_running, children))
    process.kill()
    process.wait()
    wait_until(lambda: not any(map(is_running, children)), seconds=10)


def read_csv(path):
    with path.open() as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("metric", ["ssim", "psnr"])
def test_images_are_those_of_algorithm_1(runs, options, tmp_path, metric):
    out = experiment.aggregate(runs, tmp_path / "out", count=5, metric=metric, style=False, kind="npz", quiet=True)
    settings = open_run(runs / "dcgan1").settings
    prepared = open_prepared(options["data"], settings.data)
    references = making.references_of(prepared, settings, "mutant", 5)
    generators = {model: generator_of(open_run(runs / model)) for model in MODELS}
    base = making.generate_base(generators, references, settings.aggregation.seed)
    expected = aggregate(references.images, list(base.images.values()), metric=metric, reading="filter", sigma=1.0)
    np.testing.assert_array_equal(read_images(out).images, expected.images)
    header, *rows = read_csv(out / "aggregate.csv")
    assert header == ["image", "reference", *(f"{metric} {model}" for model in MODELS), "blended"]
    for row, name, scores in zip(rows, references.names, expected.scores, strict=True):
        assert row[1] == name
        np.testing.assert_allclose([float(cell) for cell in row[2:5]], scores, atol=1e-4)
        assert set(row[5].split()) == {MODELS[i] for i in np.argsort(-scores)[:2]}
    assert not (out / "losses.csv").exists()


def test_style_is_transferred_and_its_weights_are_named(runs, tmp_path, monkeypatch):
    sheets = {}
    monkeypatch.setattr(aggregating, "image_sheet", lambda path, *given: sheets.update({path.name: given}))
    out = experiment.aggregate(runs, tmp_path / "out", count=2, overrides=["style.iterations=2"], quiet=True)
    about = json.loads((out / "images.json").read_text())
    assert about["style"]["weights"] == "random weights, seed 1" and about["count"] == 2
    assert about["sequence"] == "t1e" and "mutant" in about["origin"]
    header, *rows = read_csv(out / "losses.csv")
    losses = np.array(rows, float)[:, 1:]
    assert header == ["iteration", "image_000000", "image_000001"] and losses.shape == (3, 2)
    assert (losses[-1] < losses[0]).all()
    images, _, columns, title = sheets["figure.png"]
    assert images.shape[:2] == (2, 6) and columns[0].startswith("DCGAN-1, ") and columns[0].endswith(" epochs")
    assert columns[3:] == [
        "best two, blended",
        "after 2 iterations of style transfer",
        "real, whose style it has",
    ]
    assert title.startswith(about["origin"])


def test_the_picture_without_style(runs, tmp_path):
    out = experiment.aggregate(runs, tmp_path / "out", count=1, style=False, quiet=True)
    assert (out / "figure.png").is_file()


def test_references_are_learnt_images_and_each_comes_again_before_any_a_third_time(runs, options):
    settings = open_run(runs / "dcgan1").settings
    prepared = open_prepared(options["data"], settings.data)
    references = making.references_of(prepared, settings, "mutant", 13)
    names, counts = np.unique(references.names, return_counts=True)
    assert len(names) == 6 and set(counts) == {2, 3}
    assert not set(references.groups) & set(prepared.manifest.partitions[0]["test"])


def test_measures_are_of_the_8_bit_scale():
    rng = np.random.default_rng(1)
    real, image = rng.uniform(-1, 1, (2, 2, 16, 16)).astype("float32")
    levels = [np.rint((each.astype("float64") + 1) * 127.5) for each in (real, image)]
    found = making.measured(real, image, settings_of("dcgan1").measures)
    mse = ((levels[0] - levels[1]) ** 2).mean(axis=(1, 2))
    np.testing.assert_allclose(found["PSNR"], 10 * np.log10(255**2 / mse), rtol=1e-6)
    assert set(found) == {"SSIM", "PSNR", "KL divergence", "SD"}


def test_bad_input(runs, tmp_path, options, monkeypatch):
    lacking = tmp_path / "lacking"
    shutil.copytree(runs / "dcgan1", lacking / "dcgan1")
    with pytest.raises(UserError, match=r"has no run of dcgan2, wgandiv; expected the folder of a class"):
        experiment.aggregate(lacking, tmp_path / "out", quiet=True)
    mixed = tmp_path / "mixed"
    shutil.copytree(runs, mixed)
    state = json.loads((mixed / "wgandiv" / "run.json").read_text())
    (mixed / "wgandiv" / "run.json").write_text(json.dumps(state | {"target": {"category": "t1"}}))
    with pytest.raises(UserError, match=r"was trained on t1 of .*; expected runs of one class and data"):
        experiment.aggregate(mixed, tmp_path / "out", quiet=True)
    shutil.rmtree(mixed / "wgandiv")
    shutil.copytree(runs / "wgandiv", mixed / "wgandiv")
    config = mixed / "wgandiv" / "config.yaml"
    config.write_text(config.read_text().replace("sequence: t1e", "sequence: t2"))
    with pytest.raises(UserError, match="were trained with different settings of study"):
        experiment.aggregate(mixed, tmp_path / "out", quiet=True)
    with pytest.raises(UserError, match="only aggregation, style and measures can be set here"):
        experiment.aggregate(runs, tmp_path / "out", overrides=["study.partition=1"], quiet=True)
    with pytest.raises(UserError, match=r"there is no file gone\.h5; expected VGG-19 weights"):
        experiment.aggregate(runs, tmp_path / "out", overrides=["style.weights=gone.h5"], quiet=True)
    assert not (tmp_path / "out").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.png").touch()
    with pytest.raises(UserError, match="is not empty; give --out a new folder"):
        experiment.aggregate(runs, tmp_path / "full", quiet=True)
    monkeypatch.setattr("kerasgan.experiment.training.simulated", None)  # it is found out before
    with pytest.raises(UserError, match=r"unknown class 'gliom'"):
        experiment.train("dcgan1", category="gliom", **options | {"data": None})
