"""What runs are exported with besides translators and generators from noise: stages, labels, networks of features."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan import experiment
from kerasgan.data.imagesets import of_visits, visits_with
from kerasgan.data.prepare import open_prepared
from kerasgan.errors import UserError
from kerasgan.experiment.endpoints import endpoints_of
from kerasgan.experiment.runs import open_run
from kerasgan.gan.checkpoint import restore_network
from kerasgan.papers.featuregan.standardisation import Standard
from kerasgan.papers.featuregan.store import open_features
from kerasgan.papers.pggan.networks import Architecture, generator


def serving(version):
    return tf.saved_model.load(str(version)).signatures["serving_default"]


def inputs(signature):
    return {
        name: (each.shape.as_list(), each.dtype.name) for name, each in signature.structured_input_signature[1].items()
    }


@pytest.fixture(scope="module")
def exported(pggan_run, tmp_path_factory):
    base = tmp_path_factory.mktemp("saved_models")
    return {stage: experiment.export(pggan_run, base, stage=stage, warmup=False)[0] for stage in (4, 8, None)}


NOISE = np.random.default_rng(1).uniform(-1, 1, (4, 6)).astype("float32")
LABEL = np.array([0, 1, 1, 0], "int32")


def test_the_last_stage_takes_noise_and_label(exported, pggan_run):
    version = exported[None]
    assert version.parts[-2:] == ("pggan_t1_16", "1")
    signature = serving(version)
    assert inputs(signature) == {"noise": ([None, 6], "float32"), "label": ([None], "int32")}
    assert {name: each.shape.as_list() for name, each in signature.structured_outputs.items()} == {
        "image": [None, 16, 16, 1]
    }
    network = keras.saving.load_model(pggan_run / "generators" / "generator.keras", safe_mode=True)
    wild = 20 * NOISE  # that images leave the range
    for noise, label in ((NOISE, LABEL), (wild[:1], LABEL[:1])):
        image = signature(noise=tf.constant(noise), label=tf.constant(label))["image"].numpy()
        np.testing.assert_allclose(image, np.clip(network([noise, label]), -1, 1), atol=1e-5)
    by_class = [signature(noise=tf.constant(NOISE), label=tf.fill(4, k))["image"].numpy() for k in (0, 1)]
    assert not np.allclose(*by_class)
    request = json.loads((version / "example_request.json").read_text())["inputs"]
    assert np.shape(request["noise"]) == (1, 6) and request["label"] == [0]
    text = (version / "README.md").read_text()
    assert "uniform in [-1, 1]" in text and "0 for wildtype, 1 for mutant" in text and "noise=..., label=..." in text


def test_images_are_clipped_and_those_of_the_running_average(exported, pggan_run):
    """Against the checkpoint, by the stage of 4x4 whose network has no more layers than the delivered one."""
    signature = serving(exported[4])
    assert inputs(signature) == {"noise": ([None, 6], "float32")}
    own = Architecture(classes=2, **open_run(pggan_run).settings.network.model_dump())
    images = {}
    for group in ("averaged", "generator"):
        network = generator(4, own)
        restore_network(network, pggan_run / "checkpoints" / "0004" / "latest.npz", f"{group}/0")
        images[group] = network(NOISE).numpy()
    found = signature(noise=tf.constant(NOISE))["image"].numpy()
    assert np.abs(images["averaged"]).max() > 1, "else nothing is clipped"
    np.testing.assert_allclose(found, np.clip(images["averaged"], -1, 1), atol=1e-5)
    assert not np.allclose(found, np.clip(images["generator"], -1, 1), atol=1e-3)


def test_a_stage_below_the_conditional_one_takes_no_label(exported, pggan_run):
    version = exported[8]
    assert version.parts[-2:] == ("pggan_t1_8", "1")
    signature = serving(version)
    assert inputs(signature) == {"noise": ([None, 6], "float32")}
    network = keras.saving.load_model(pggan_run / "stages" / "0008.keras", safe_mode=True)
    image = signature(noise=tf.constant(NOISE))["image"].numpy()
    np.testing.assert_allclose(image, np.clip(network(NOISE), -1, 1), atol=1e-5)
    text = (version / "README.md").read_text()
    assert "label" not in text and "(n, 8, 8, 1)" in text
    assert "label" not in json.loads((version / "example_request.json").read_text())["inputs"]
    names = (version.parents[1] / "models.config").read_text()
    assert all(f"name: 'pggan_t1_{stage}'" in names for stage in (4, 8, 16))


FRESH = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
sys.modules["kerasgan"] = sys.modules["keras"] = None  # the SavedModel must need neither
import numpy as np, tensorflow as tf
given = np.load(sys.argv[2])
call = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
image = call(noise=tf.constant(given["noise"]), label=tf.constant(given["label"]))["image"]
np.testing.assert_allclose(image.numpy(), given["image"], atol=1e-5)
"""


def test_a_stage_is_served_without_the_package(exported, tmp_path):
    image = serving(exported[None])(noise=tf.constant(NOISE), label=tf.constant(LABEL))["image"].numpy()
    np.savez(tmp_path / "given.npz", noise=NOISE, label=LABEL, image=image)
    words = [sys.executable, "-c", FRESH, str(exported[None]), str(tmp_path / "given.npz")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_warm_up_has_every_input(pggan_run, tmp_path):
    pytest.importorskip("tensorflow_serving")
    from kerasgan.experiment.export import WARMUP
    from kerasgan.experiment.warmup import read_warmup

    (version,) = experiment.export(pggan_run, tmp_path, warmup=True)
    requests = [log.predict_log.request.inputs for log in read_warmup(version / WARMUP)]
    shapes = [{name: tf.make_ndarray(each[name]).shape for name in each} for each in requests]
    assert shapes == [{"noise": (1, 6), "label": (1,)}, {"noise": (16, 6), "label": (16,)}]
    assert tf.make_ndarray(requests[0]["label"]).dtype == np.int32


@pytest.mark.parametrize("stage", [32, 5, 0, -4])
def test_a_wrong_stage_is_named(pggan_run, tmp_path, stage):
    with pytest.raises(UserError, match=f"has the stages 4, 8, 16, not {stage}; give one of them"):
        experiment.export(pggan_run, tmp_path, stage=stage)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("run", ["noise_run", "unet_run"])
def test_a_stage_of_a_model_without_stages_is_refused(run, request, tmp_path):
    for stage in (8, 0):
        with pytest.raises(UserError, match=f"which has no stages; leave out --stage {stage}"):
            experiment.export(request.getfixturevalue(run), tmp_path, stage=stage)


# ---- features ----


def test_a_unet_segments_images_as_they_are_prepared(unet_run, graded_folder, tmp_path):
    (version,) = experiment.export(unet_run, tmp_path, warmup=False)
    assert version.parts[-2:] == ("unet_flair", "1")
    signature, prepared = serving(version), open_prepared(graded_folder)
    assert inputs(signature) == {"image": ([None, 32, 32, 1], "float32")}
    visits = visits_with(prepared, "flair", "test", 1)[:1]
    images = of_visits(prepared, visits, "flair").images[:3, ..., None]  # in [-1, 1]
    found = signature(image=tf.constant(images))["probability"].numpy()
    network = keras.saving.load_model(unet_run / "unet.keras", safe_mode=True)
    standard = Standard.model_validate_json((unet_run / "standard.json").read_text())
    by_hand = ((images + 1) / 2 - np.array(standard.mean)) / np.array(standard.deviation)
    np.testing.assert_allclose(found, network(by_hand.astype("float32")), atol=1e-5)
    assert 0 <= found.min() < found.max() <= 1


@pytest.fixture(scope="module")
def store(features_folder):
    return open_features(features_folder)


@pytest.fixture(scope="module")
def standard(store):
    return store.manifest.channels["train"]


def test_an_acgan_makes_features_in_the_units_of_the_unet(features_folder, featuregan_overrides, standard, tmp_path):
    run = experiment.train(
        "acgan",
        width=4,
        data=features_folder,
        overrides=[*featuregan_overrides, "acgan.epochs=1"],
        run_dir=tmp_path / "run",
        quiet=True,
    )
    (version,) = experiment.export(run, tmp_path / "models", warmup=False)
    assert version.parts[-2:] == ("acgan_width_4", "1")
    signature = serving(version)
    assert inputs(signature) == {"noise": ([None, 6], "float32"), "label": ([None], "int32")}
    noise = np.random.default_rng(1).normal(size=(4, 6)).astype("float32")
    found = signature(noise=tf.constant(noise), label=tf.constant(LABEL))["features"].numpy()
    network = keras.saving.load_model(run / "feature_generator.keras", safe_mode=True)
    by_hand = network([noise, LABEL]).numpy() * np.array(standard.deviation) + np.array(standard.mean)
    by_hand = np.maximum(by_hand, 0) if open_run(run).settings.acgan.rectify else by_hand
    np.testing.assert_allclose(found, by_hand, atol=1e-4)
    assert found.shape == (4, 4, 4, 8)


def test_a_feature_classifier_takes_features_in_the_units_of_the_unet(
    features_folder, featuregan_overrides, standard, tmp_path
):
    run = experiment.train(
        "feature-classifier",
        data=features_folder,
        overrides=[*featuregan_overrides, "feature_classifier.epochs=1"],
        run_dir=tmp_path / "run",
        quiet=True,
        synthetic=None,
        count=None,
    )
    (version,) = experiment.export(run, tmp_path / "models", warmup=False)
    (end,) = endpoints_of(open_run(run))
    assert version.parent.name == end.name
    signature = serving(version)
    assert inputs(signature) == {"features": ([None, 4, 4, 8], "float32")}
    features = np.random.default_rng(1).uniform(0, 2, (4, 4, 4, 8)).astype("float32")
    found = signature(features=tf.constant(features))["probability"].numpy()
    network = keras.saving.load_model(run / "classifier.keras", safe_mode=True)
    deviation = np.array(standard.deviation)
    scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    logits = network(((features - np.array(standard.mean)) * scale).astype("float32")).numpy()[:, 0]
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-logits.astype(float))), atol=1e-5)
    assert found.shape == (4,)
