"""Features of a run on disk, synthetic ones of an AC-GAN, and what is made where no data are given."""

import json
import shutil

import keras
import numpy as np
import pytest

from kerasgan import experiment
from kerasgan.data import pipeline
from kerasgan.data.prepare import open_prepared
from kerasgan.errors import UserError
from kerasgan.experiment import training
from kerasgan.papers.featuregan import store_writing
from kerasgan.papers.featuregan.slices import Slices
from kerasgan.papers.featuregan.store import open_features
from kerasgan.papers.featuregan.unet import BLOCKS, features


def extract(run, out, **more):
    return experiment.extract_features(run, out, quiet=True, **more)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pointed(run, copy, **changed):
    """A copy of a run whose run.json says something else."""
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("checkpoints", "features-*"))
    path = copy / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    return copy


@pytest.fixture(scope="module")
def acgan(features_folder, featuregan_overrides, tmp_path_factory):
    """A finished run on `features_folder`, whose discriminator is as good as untrained. Not to be written to."""
    words = {"overrides": featuregan_overrides, "run_dir": tmp_path_factory.mktemp("acgan") / "run", "quiet": True}
    return experiment.train("acgan", width="4", data=features_folder, **words)


# ---- extracting ----


def test_features_are_the_blocks_output_of_z_scored_slices(features_folder, unet_run, graded_folder):
    store = open_features(features_folder)
    prepared = open_prepared(graded_folder)
    standard = json.loads((unet_run / "standard.json").read_text())
    part = features(keras.saving.load_model(unet_run / "unet.keras", compile=False, safe_mode=True), "encoder4")
    assert store.count == 80 and store.shape == (4, 4, 8)
    for subset in ("train", "test"):
        images = pipeline.arrays_of(prepared, prepared.visits(subset, 1, ("flair",)), ("flair",))["flair"]
        scored = ((images + 1) / 2 - standard["mean"][0]) / standard["deviation"][0]
        expected = part.predict(scored[..., None].astype(np.float32), verbose=0)
        assert expected.std() > 0
        np.testing.assert_allclose(store.read(store.indices(subset)), expected, atol=1e-4)


def test_the_store_knows_whose_slices_these_are(features_folder, graded_folder):
    store, prepared = open_features(features_folder), open_prepared(graded_folder)
    for piece in store.extraction.slices:
        visit = next(each for each in prepared.manifest.visits if each.patient == piece.patient)
        assert piece.label == visit.labels["grade"]
        assert piece.patient in prepared.manifest.partitions[0][piece.subset]
        name, view, index = piece.name.split()
        assert name == visit.name and (view, int(index)) in {(view, at) for view, at, _ in visit.slices}
    assert len({piece.name for piece in store.extraction.slices}) == store.count
    assert store.extraction.data == prepared.hash and store.manifest.origin.startswith("BraTS folders in")


@pytest.mark.parametrize(
    ("block", "name", "shape"),
    [
        ("5", "encoder5", (2, 2, 8)),
        ("encoder5", "encoder5", (2, 2, 8)),
        ("1", "encoder1", (32, 32, 4)),
        ("decoder2", "decoder2", (16, 16, 4)),
    ],
)
def test_any_block_by_its_name(block, name, shape, unet_run, tmp_path):
    store = extract(unet_run, tmp_path / "out", block=block, dtype="float16")
    assert (store.extraction.block, store.shape, store.dtype) == (name, shape, "float16")


@pytest.mark.parametrize("block", ["6", "encoder55", "decoder5", ""])
def test_a_block_that_the_network_has_not(block, unet_run, tmp_path):
    with pytest.raises(UserError, match="the U-Net has no block"):
        extract(unet_run, tmp_path / "out", block=block or " ")
    assert not (tmp_path / "out").exists() and block not in BLOCKS


def test_it_goes_on_after_a_kill(features_folder, unet_run, tmp_path, monkeypatch):
    monkeypatch.setattr(store_writing, "SHARD_BYTES", 16 * 4 * 4 * 8 * 4)
    whole = extract(unet_run, tmp_path / "whole")
    assert [shard.count for shard in whole.manifest.shards] == [16] * 5
    asked, own = [], Slices.batches

    def killed(self, batch_size, first):
        asked.append(first)
        for number, batch in enumerate(own(self, batch_size, first)):
            if len(asked) == 1 and number == 5:
                raise KeyboardInterrupt
            assert len(batch[0]) <= 8, "no more than a batch"
            yield batch

    monkeypatch.setattr(Slices, "batches", killed)
    with pytest.raises(KeyboardInterrupt):
        extract(unet_run, tmp_path / "begun")
    extract(unet_run, tmp_path / "begun")
    assert asked == [0, 32], "two shards were whole"
    assert contents(tmp_path / "begun") == contents(tmp_path / "whole")
    np.testing.assert_array_equal(whole.read(range(80)), open_features(features_folder).read(range(80)))


def test_a_folder_of_another_block_is_refused(features_folder, unet_run):
    with pytest.raises(UserError, match="holds other features"):
        extract(unet_run, features_folder, block="5")


def test_the_data_moved(unet_run, tmp_path):
    run = pointed(unet_run, tmp_path / "run", data=str(tmp_path / "gone"))
    with pytest.raises(UserError, match=r"there is no folder .*gone"):
        extract(run, tmp_path / "out")


def test_the_data_changed(unet_run, tmp_path):
    run = pointed(unet_run, tmp_path / "run", data_hash="0")
    with pytest.raises(UserError, match=r"is not the data that .* was begun on"):
        extract(run, tmp_path / "out")


def test_a_patient_without_grade(unet_run, graded_folder, tmp_path):
    shutil.copytree(graded_folder, tmp_path / "prepared")
    path = tmp_path / "prepared" / "manifest.json"
    path.write_text(path.read_text().replace('"LGG"', '"none"'))
    run = pointed(unet_run, tmp_path / "run", data=str(path.parent), data_hash=open_prepared(path.parent).hash)
    with pytest.raises(UserError, match="'none' in the label column 'grade'; expected 'HGG' or 'LGG'"):
        extract(run, tmp_path / "out")


@pytest.mark.parametrize(
    ("file", "message"),
    [("unet.keras", r"unet\.keras cannot be read"), ("standard.json", r"standard\.json: not readable as JSON")],
)
def test_a_damaged_run(file, message, unet_run, tmp_path):
    run = pointed(unet_run, tmp_path / "run")
    (run / file).write_bytes((run / file).read_bytes()[:9])
    with pytest.raises(UserError, match=message) as caught:
        extract(run, tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_runs_of_other_models(acgan, unet_run, tmp_path):
    with pytest.raises(UserError, match="is a run of acgan; expected one of unet"):
        extract(acgan, tmp_path / "out")
    with pytest.raises(UserError, match="is a run of unet; expected one of acgan"):
        experiment.generate_features(unet_run, tmp_path / "out", quiet=True)


def test_an_unfinished_run(unet_run, tmp_path):
    with pytest.raises(UserError, match="finish it with `kerasgan train unet --resume"):
        extract(pointed(unet_run, tmp_path / "run", finished=False), tmp_path / "out")


# ---- generating ----


def test_generated_features_are_those_of_the_runs_table(acgan, tmp_path, features_folder):
    store = experiment.generate_features(acgan, tmp_path / "made", quiet=True)
    metrics = json.loads((acgan / "metrics.json").read_text())
    assert store.count == round(metrics["class_accuracy"] * metrics["samples"])
    assert store.extraction.data == open_features(features_folder).hash and store.shape == (4, 4, 8)
    assert "AC-GAN of width 4, seed 1, from BraTS folders in" in store.manifest.origin
    again = experiment.generate_features(acgan, tmp_path / "again", seed=1, count=40, quiet=True)
    assert contents(again.folder) == contents(store.folder)
    other = experiment.generate_features(acgan, tmp_path / "other", seed=2, quiet=True)
    assert other.hash != store.hash


def test_features_that_changed_since(acgan, tmp_path):
    with pytest.raises(UserError, match=r"is not the data that .* was begun on"):
        experiment.generate_features(pointed(acgan, tmp_path / "run", data_hash="0"), tmp_path / "out", quiet=True)


# ---- without data ----


def test_without_features_a_unet_is_trained_on_the_phantom_once(featuregan_overrides, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KERASGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    tiny = ["phantom.patients=6", "phantom.grid=32", "split.train=0.5", "split.test=0.5", "unet.epochs=1"]
    words = {"overrides": [*featuregan_overrides, *tiny, "acgan.epochs=1"], "width": "4"}
    experiment.train("acgan", dry_run=True, **words)
    shown = capsys.readouterr()
    assert "would simulate 6 patients and train AC-GAN of width 4" in shown.out
    assert not list(tmp_path.iterdir())

    run = experiment.train("acgan", **words)
    shown = capsys.readouterr().err
    assert "simulating 6 patients into" in shown and "training the U-Net whose features are learnt into" in shown
    assert "data: simulated phantom cohort" in shown.replace("\r", "\n")
    assert run.relative_to(".").parts == ("runs", "acgan", "width-4")
    (manifest,) = (tmp_path / "cache").glob("phantom-*/prepared-*/unet-*/features-*/manifest.json")
    assert json.loads((run / "run.json").read_text())["data"] == str(manifest.parent)

    monkeypatch.setattr(training, "UnetTask", None)
    before = contents(tmp_path / "cache")
    experiment.train("acgan", run_dir="again", dry_run=True, **words)
    shown = capsys.readouterr().err
    assert "simulating" not in shown and "training the U-Net" not in shown and "would train AC-GAN" in shown
    assert contents(tmp_path / "cache") == before
