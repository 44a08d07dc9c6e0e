import csv
import json
import re
import shutil
import signal
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import SMALL, narrow, undrawn

from kerasgan import experiment
from kerasgan.data.prepare import open_prepared
from kerasgan.errors import UserError
from kerasgan.experiment.runs import open_run
from kerasgan.experiment.tasks import TASKS
from kerasgan.gan.training import Stopped
from kerasgan.papers import settings_of
from kerasgan.papers.pairwise.training import PairwiseTask

SHORT = (*SMALL, "training.epochs=2", "training.validate_every=1", "training.sample_every=2")


def train(folder, data, *overrides, pair=("t1", "t1e"), **options):
    options = dict(overrides=[*SHORT, *overrides], quiet=True) | options
    with narrow(), undrawn():
        return experiment.train("pairwise", pair=pair, data=data, run_dir=folder, **options)


@pytest.fixture(scope="module")
def one_epoch(prepared_folder, tmp_path_factory):
    """The state after one epoch."""
    return state(train(tmp_path_factory.mktemp("one_epoch") / "run", prepared_folder, "training.epochs=1"))


def state(folder, name="latest"):
    with np.load(folder / "checkpoints" / f"{name}.npz") as file:
        return {key: file[key] for key in file if not key.startswith("//")}


def assert_same(one, two):
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def test_a_run_folder_holds_everything(finished_run, prepared_folder):
    found = {str(path.relative_to(finished_run)) for path in finished_run.rglob("*") if path.is_file()}
    assert found == {
        "config.yaml",
        "run.json",
        "environment.json",
        "history.csv",
        "metrics.json",
        "quality.md",
        "figure7.png",
        "curves.png",
        "report.html",
        "samples/epoch_0002.png",
        "checkpoints/latest.npz",
        "checkpoints/best.npz",
        "generators/t1_to_t1e.keras",
        "generators/t1e_to_t1.keras",
    }
    run = open_run(finished_run)
    assert run.finished
    assert run.origin.startswith("BraTS folders in")
    assert run.data == str(prepared_folder)
    environment = json.loads((finished_run / "environment.json").read_text())
    assert {"python", "packages", "devices", "seed", "precision", "jit", "strategy"} <= environment.keys()
    page = (finished_run / "report.html").read_text()
    assert "BraTS folders in" in page
    assert page.count("data:image/png;base64,") == 3
    assert "http" not in page, "the page needs no network"


def test_history_has_losses_and_quality_of_both_directions(finished_run):
    with (finished_run / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for row in rows:
        values = {name: float(value) for name, value in row.items()}
        assert values["psnr"] == pytest.approx((values["t1_to_t1e_psnr"] + values["t1e_to_t1_psnr"]) / 2, rel=1e-4)
        assert all(np.isfinite(list(values.values())))


def test_metrics_are_those_of_the_delivered_generators(finished_run, prepared_folder):
    from kerasgan.papers.pairwise.quality import load_pairs

    metrics = json.loads((finished_run / "metrics.json").read_text())
    assert metrics["data"].startswith("BraTS folders in")
    pairs = load_pairs(open_prepared(prepared_folder), "test", 1, ("t1", "t1e"))
    generator = keras.saving.load_model(finished_run / "generators" / "t1_to_t1e.keras", safe_mode=True)
    fakes = generator.predict(pairs.m[..., None], verbose=0)[..., 0]
    assert -1 <= fakes.min() < fakes.max() <= 1
    by_hand = [10 * np.log10(4 / np.mean((a - b) ** 2)) for a, b in zip(pairs.n, fakes, strict=True)]
    quality = metrics["quality"]["t1_to_t1e"]["test"]["psnr"]
    assert quality["mean"] == pytest.approx(np.mean(by_hand), abs=1e-3)
    assert quality["slices"] == len(by_hand) == 12


def test_same_seed_same_run_other_seed_other_run(finished_run, prepared_folder, tmp_path):
    again = train(tmp_path / "again", prepared_folder)
    assert_same(state(again), state(finished_run))
    other = train(tmp_path / "other", prepared_folder, "training.seed=2")
    assert not np.array_equal(state(other)["generators/0/000"], state(finished_run)["generators/0/000"])


def test_a_run_learns(prepared_folder, tmp_path):
    longer = ("training.epochs=12", "training.validate_every=12", "training.learning_rate=0.002")
    folder = train(tmp_path / "run", prepared_folder, *longer)
    with (folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    first, last = float(rows[0]["l1"]), float(rows[-1]["l1"])
    assert last < first / 2
    metrics = json.loads((folder / "metrics.json").read_text())["quality"]
    assert min(metrics[d]["test"]["psnr"]["mean"] for d in metrics) > 14


def test_modalities_by_any_name_and_in_any_order(prepared_folder, tmp_path, capsys):
    folder = train(tmp_path / "run", prepared_folder, "training.epochs=1", pair=("T1CE", "t1w"))
    assert open_run(folder).target == {"pair": ["t1e", "t1"]}
    assert sorted(p.stem for p in (folder / "generators").iterdir()) == ["t1_to_t1e", "t1e_to_t1"]


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (("t1", "t3"), "unknown modality 't3'"),
        (("t1", "T1w"), "both t1"),
        (("t1",), "expects two modalities"),
        (("t1", "t2", "flair"), "expects two modalities"),
    ],
)
def test_a_wrong_pair_is_named(prepared_folder, tmp_path, pair, message):
    with pytest.raises(UserError, match=message):
        train(tmp_path / "run", prepared_folder, pair=pair)
    assert not (tmp_path / "run").exists()


def test_best_delivers_the_epoch_of_the_best_validation(prepared_folder, tmp_path, monkeypatch):
    scores = iter([10.0, 30.0, 20.0])
    monkeypatch.setattr("kerasgan.papers.pairwise.training.PairwiseTask.validate", lambda self: {"psnr": next(scores)})
    folder = train(tmp_path / "run", prepared_folder, "training.epochs=3", "training.keep=best")
    best, latest = state(folder, "best"), state(folder)
    delivered = keras.saving.load_model(folder / "generators" / "t1_to_t1e.keras", safe_mode=True).get_weights()
    np.testing.assert_array_equal(delivered[0], best["generators/0/000"])
    assert not np.array_equal(delivered[0], latest["generators/0/000"])


def test_an_existing_run_is_not_overwritten(finished_run, prepared_folder):
    before = state(finished_run)
    with pytest.raises(UserError, match="holds a run; resume it"):
        train(finished_run, prepared_folder)
    assert_same(state(finished_run), before)


class Refused:
    """Stands for a model that finds out only when it is built that it cannot be."""

    def __init__(self, error):
        self.error = error

    def __call__(self, *given):
        raise self.error


def test_what_cannot_be_built_leaves_nothing_that_blocks_the_next_try(prepared_folder, tmp_path, monkeypatch):
    run, build = tmp_path / "run", PairwiseTask.build
    monkeypatch.setattr(PairwiseTask, "build", Refused(UserError("no such network")))
    with pytest.raises(UserError, match="no such network"):
        train(run, prepared_folder)
    assert not run.exists()
    monkeypatch.setattr(PairwiseTask, "build", build)
    train(run, prepared_folder, "training.epochs=1")
    assert open_run(run).finished
    before = (run / "run.json").read_text(), (run / "config.yaml").read_text()
    monkeypatch.setattr(PairwiseTask, "build", Refused(UserError("no such network")))
    with pytest.raises(UserError, match="no such network"):
        train(run, None, "training.epochs=2", resume=True)
    assert before == ((run / "run.json").read_text(), (run / "config.yaml").read_text())


def test_an_epoch_without_a_step_is_found_out_before_the_run_begins(prepared_folder, tmp_path):
    sets = ("training.batch_size=100", "training.strategy=mirrored")
    for dry_run in (True, False):
        with pytest.raises(UserError, match=r"an epoch has no step: .* lower training\.batch_size"):
            train(tmp_path / "run", prepared_folder, *sets, dry_run=dry_run)
    assert not (tmp_path / "run").exists()


def test_an_interruption_is_told_by_what_there_is_to_go_on_with(finished_run, prepared_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(PairwiseTask, "build", Refused(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", prepared_folder)
    assert not (tmp_path / "run").exists()
    copy = shutil.copytree(finished_run, tmp_path / "copy")
    with pytest.raises(Stopped, match="stopped; what was saved last is kept") as stopped:
        train(copy, None, resume=True)
    assert stopped.value.signal_number == signal.SIGINT and stopped.value.resumable


def test_a_finished_run_whose_states_are_gone_is_not_begun_anew(finished_run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(finished_run, copy)
    for state in (copy / "checkpoints").rglob("*.npz"):
        state.unlink()
    with pytest.raises(UserError, match="is finished and its checkpoints were removed"):
        train(copy, None, resume=True)
    assert (copy / "metrics.json").read_bytes() == (finished_run / "metrics.json").read_bytes()


def test_resume_says_which_runs_there_are_where_the_default_has_none(finished_run, tmp_path, monkeypatch):
    shutil.copytree(finished_run, tmp_path / "runs" / "pairwise" / "mine")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UserError, match=r"no run in runs/pairwise/t1-t1e; give --run-dir with one of runs/pairwise/mine"
    ):
        train(None, None, resume=True)


def test_resume_refuses_another_configuration_pair_and_data(finished_run, prepared_folder, cohort_csv, tmp_path):
    with pytest.raises(UserError, match=r"another configuration \(training.learning_rate: 0.0002, not 0.1\)"):
        train(finished_run, None, "training.learning_rate=0.1", resume=True)
    with pytest.raises(UserError, match="is a run of pairwise t1-t1e, not of pairwise t1-t2"):
        train(finished_run, None, pair=("t1", "t2"), resume=True)
    smaller = tmp_path / "smaller.csv"
    smaller.write_text("\n".join(cohort_csv.read_text().splitlines()[:-1]))
    other = tmp_path / "other"
    experiment.prepare(smaller, other, overrides=SMALL, quiet=True)
    with pytest.raises(UserError, match=r"is not the data that .* or it has changed since"):
        train(finished_run, other, resume=True)
    with pytest.raises(UserError, match="there is no folder"):
        train(tmp_path / "nothing", None, resume=True)


def test_resume_needs_no_repeated_flags_and_may_lengthen(finished_run, prepared_folder, tmp_path):
    whole = train(tmp_path / "whole", prepared_folder, "training.epochs=3")
    parts = shutil.copytree(finished_run, tmp_path / "parts")
    train(parts, None, resume=True, overrides=["training.epochs=3"])
    assert_same(state(parts), state(whole))


def test_prepared_data_of_another_setting_is_refused(prepared_folder, tmp_path):
    with pytest.raises(UserError, match=r"prepared with other settings \(size: 32, not 64 as configured\)"):
        train(tmp_path / "run", prepared_folder, "data.size=64")
    assert not (tmp_path / "run").exists()


def test_dry_run_prints_the_settings_and_trains_nothing(prepared_folder, tmp_path, capsys):
    train(tmp_path / "run", prepared_folder, dry_run=True, quiet=False)
    out, err = capsys.readouterr()
    assert "learning_rate: 0.0002" in out and "classifier:" not in out, "of this model"
    assert "2 epochs of 9 steps" in err
    assert "BraTS folders in" in err
    assert not (tmp_path / "run").exists()


def test_bfloat16_trains_float32_weights(prepared_folder, tmp_path):
    folder = train(tmp_path / "run", prepared_folder, "training.precision=mixed_bfloat16")
    assert {array.dtype for name, array in state(folder).items() if name.startswith("generators/0/")} == {
        np.dtype("f4")
    }
    assert keras.config.dtype_policy().name == "float32", "the policy is given back"
    generator = keras.saving.load_model(folder / "generators" / "t1_to_t1e.keras", safe_mode=True)
    assert generator.get_layer("down1").compute_dtype == "bfloat16"
    assert generator.output.dtype == "float32"


def test_xla_makes_the_same_steps(one_epoch, prepared_folder, tmp_path):
    folder = train(tmp_path / "run", prepared_folder, "training.jit=true", "training.epochs=1")
    assert_same_steps(state(folder), one_epoch, ("generators/0",))


def assert_same_steps(found, expected, names):
    """Adam turns the rounding of a gradient near zero into a step of any sign, so a few weights may differ by steps."""
    for name, array in expected.items():
        if name.startswith(names):
            difference = np.abs(found[name] - array)
            assert difference.max() < 2e-3, f"{name}: {difference.max()}"
            assert difference.mean() < 2e-5, f"{name}: {difference.mean()}"


def test_two_replicas_train_the_same_model(one_epoch, prepared_folder, tmp_path):
    """At batch 4 an epoch of 36 slices has no remainder, so that both make the same steps."""
    double = train(tmp_path / "double", prepared_folder, "training.strategy=mirrored", "training.epochs=1")
    assert_same_steps(state(double), one_epoch, ("generators/0", "discriminator_m/0"))


def test_pair_all_trains_six_runs_and_resumes_the_group(prepared_folder, tmp_path, monkeypatch):
    group = tmp_path / "group"
    asked = []

    def one(model, names, folder, before, settings, prepared, dry_run, quiet):
        if not dry_run:
            asked.append((folder.name, before is not None))
        return folder

    monkeypatch.setattr("kerasgan.experiment.training._train_one", one)
    train(group, prepared_folder, pair=("all",))
    assert [name for name, _ in asked] == ["t1-t1e", "t1-t2", "t1-flair", "t1e-t2", "t1e-flair", "t2-flair"]


def test_a_group_keeps_finished_runs_and_resumes_begun_ones(finished_run, prepared_folder, tmp_path, monkeypatch):
    group = tmp_path / "group"
    shutil.copytree(finished_run, group / "t1-t1e")
    shutil.copytree(finished_run, group / "t1-t2")
    begun = json.loads((group / "t1-t2" / "run.json").read_text()) | {
        "finished": False,
        "target": {"pair": ["t1", "t2"]},
    }
    (group / "t1-t2" / "run.json").write_text(json.dumps(begun))
    asked = []

    def one(model, names, folder, before, settings, prepared, dry_run, quiet):
        if not dry_run:
            asked.append((folder.name, before is not None))

    monkeypatch.setattr("kerasgan.experiment.training._train_one", one)
    with pytest.raises(UserError, match="go on with the group by --resume"):
        train(group, prepared_folder, pair=("all",))
    train(group, prepared_folder, pair=("all",), resume=True)
    assert asked[0] == ("t1-t2", True)
    assert [name for name, _ in asked[1:]] == ["t1-flair", "t1e-t2", "t1e-flair", "t2-flair"]
    assert not any(resumed for _, resumed in asked[1:])


def test_augmentation_changes_the_run_and_is_repeated_by_the_seed(finished_run, prepared_folder, tmp_path):
    options = ("training.flip=true", "training.shift=0.1", "training.epochs=1")
    one, two = (train(tmp_path / name, prepared_folder, *options) for name in "ab")
    assert_same(state(one), state(two))
    assert not np.array_equal(state(one)["generators/0/000"], state(finished_run)["generators/0/000"])


def test_a_group_checks_every_pair_before_it_trains_the_first(prepared_folder, tmp_path):
    """Nobody who is tested on has T2: the second pair could not be trained, so the first is not either."""
    copy = tmp_path / "prepared"
    shutil.copytree(prepared_folder, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    for visit in manifest["visits"]:
        if visit["patient"] in manifest["partitions"][0]["test"]:
            visit["ranges"].pop("t2", None)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="no test patient of partition 1 has slices of all of t1, t2"):
        train(tmp_path / "group", copy, pair=("all",))
    assert not (tmp_path / "group").exists()


def test_all_pairs_are_those_of_the_modalities_that_the_cohort_has(cohort_csv, tmp_path, monkeypatch):
    rows = [line.split(",") for line in cohort_csv.read_text().splitlines()]
    column = rows[1].index("t2")
    bare = cohort_csv.parent / "bare.csv"  # its paths are relative
    bare.write_text(
        "\n".join(",".join(cell for i, cell in enumerate(row) if i != column or row[0][0] == "#") for row in rows)
    )
    experiment.prepare(bare, tmp_path / "prepared", overrides=SMALL, quiet=True)
    asked = []

    def one(model, target, folder, before, settings, prepared, dry_run, quiet):
        asked.append(folder.name)

    monkeypatch.setattr("kerasgan.experiment.training._train_one", one)
    train(tmp_path / "group", tmp_path / "prepared", pair=("all",), dry_run=True)
    assert asked == ["t1-t1e", "t1-flair", "t1e-flair"]


def test_a_resumed_group_gives_new_pairs_the_settings_and_data_of_begun_ones(finished_run, tmp_path, monkeypatch):
    group = tmp_path / "group"
    shutil.copytree(finished_run, group / "t1-t1e")
    asked = []

    def one(model, names, folder, before, settings, prepared, dry_run, quiet):
        asked.append((folder.name, settings.training.epochs, prepared.folder))

    monkeypatch.setattr("kerasgan.experiment.training._train_one", one)
    experiment.train("pairwise", pair=("all",), run_dir=group, resume=True, quiet=True)
    data = Path(open_run(finished_run).data)
    assert {(epochs, folder) for _, epochs, folder in asked} == {(2, data)}
    with pytest.raises(UserError, match=r"another configuration \(training.learning_rate: 0.0002, not 0.5\)"):
        train(group, None, "training.learning_rate=0.5", pair=("all",), resume=True)


def test_no_test_patient_is_found_out_before_the_training(prepared_folder, tmp_path):
    copy = tmp_path / "prepared"
    shutil.copytree(prepared_folder, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    first = manifest["partitions"][0]
    first["train"], first["test"] = first["train"] + first["test"], []
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="no test patient of partition 1"):
        train(tmp_path / "run", copy)
    assert not (tmp_path / "run").exists()


def test_a_dry_run_without_data_simulates_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KERASGAN_CACHE", str(tmp_path))
    experiment.train("pairwise", pair=("t1", "t2"), dry_run=True)
    assert "would simulate 20 patients" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_too_few_simulated_patients_are_found_out_before_the_simulation(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASGAN_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="too few to fill train, validation and test"):
        experiment.train("pairwise", pair=("t1", "t2"), overrides=["phantom.patients=6"], quiet=True)
    assert not list(tmp_path.iterdir())


def test_equal_images_do_not_spoil_the_mean_psnr(prepared_folder, monkeypatch):
    task = TASKS["pairwise"](
        settings_of("pairwise", overrides=SMALL), open_prepared(prepared_folder), {"pair": ["t1", "t1e"]}
    )
    values = {"psnr": np.array([20.0, np.inf, 30.0]), "psnr_tumour": np.array([np.nan] * 3)}
    monkeypatch.setattr(task, "measures", lambda pairs: dict.fromkeys(task.directions, values))
    assert task.validate() == {"t1_to_t1e_psnr": 25.0, "t1e_to_t1_psnr": 25.0, "psnr": 25.0}


def test_synthetic_volumes_are_trained_on_but_neither_validated_nor_tested_on(cohort_csv, tmp_path):
    """A cohort of `translate --fill-missing`: its column `synthetic` says what is not real."""
    lines = cohort_csv.read_text().splitlines()
    rows = [lines[0], lines[1] + ",synthetic", *(line + ",t1e from t1 by t1-t1e" for line in lines[2:])]
    (tmp_path / "cohort.csv").write_text("\n".join(rows))
    prepared = experiment.prepare(tmp_path / "cohort.csv", tmp_path / "prepared", overrides=SMALL, quiet=True)
    assert len(prepared.visits("train", 1, ("t1", "t1e"))) == 6
    with pytest.raises(UserError, match="no validation patient"):
        prepared.visits("validation", 1, ("t1", "t1e"))
    assert prepared.visits("validation", 1, ("t1", "flair")), "the other modalities are real"


def test_training_names_what_it_really_uses(cohort_csv, tmp_path, capsys):
    """The tiny cohort's last patient has no T2."""
    prepared = experiment.prepare(cohort_csv, tmp_path / "prepared", overrides=SMALL, quiet=True)
    experiment.train("pairwise", pair=("t1", "t2"), data=prepared.folder, overrides=SMALL, dry_run=True)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("data:")]
    assert "used with t1 and t2" in line
    assert sum(map(int, re.findall(r"(\d+) patients /", line))) == 9


def test_a_group_on_the_phantom_prints_no_settings_while_it_checks(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KERASGAN_CACHE", str(tmp_path))
    reached = []

    def simulated(settings, quiet):
        reached.append(1)
        raise UserError("simulated")

    monkeypatch.setattr("kerasgan.experiment.training.simulated", simulated)
    with pytest.raises(UserError, match="simulated"):
        experiment.train("pairwise", pair=("all",), run_dir=tmp_path / "group")
    out, err = capsys.readouterr()
    assert reached
    assert out == ""
    assert err == ""
