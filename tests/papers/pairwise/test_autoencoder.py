"""The autoencoder and DAEF (Ge 2020, III-E2)."""

from itertools import pairwise

import keras
import numpy as np
import pytest
from scipy.signal import correlate2d

from kerasgan.data.prepare import open_prepared
from kerasgan.gan.training import Stopped
from kerasgan.papers import settings_of
from kerasgan.papers.pairwise import autoencoder
from kerasgan.report.page import read_history


def test_published_layers_and_parameters():
    """3 x 3 x inputs x filters + filters of each layer; the decoder mirrors the encoder down to four channels."""
    settings = settings_of("pairwise").autoencoder
    network = autoencoder.autoencoder(128, 4, settings)
    filters = [4, 64, 64, 128, 128, 256, 256, 512, 512]
    down = sum(9 * a * b + b for a, b in pairwise(filters))
    up = sum(9 * a * b + b for a, b in pairwise(filters[::-1]))
    assert network.count_params() == down + up
    assert network.get_layer("code").output.shape == (None, 8, 8, 512)
    assert network.output.shape == (None, 128, 128, 4)
    assert autoencoder.encoder_of(network).output.shape == (None, 512)


def same_convolution(image, kernel, bias, stride):
    """Of (h, w, c) in float64 as TensorFlow pads: for stride 2 and an even size nothing before, one row after."""
    before = 1 if stride == 1 else 0
    padded = np.pad(image, [(before, 2 - before)] * 2 + [(0, 0)])
    maps = [
        sum(correlate2d(padded[..., i], kernel[..., i, o], "valid") for i in range(image.shape[2])) + bias[o]
        for o in range(kernel.shape[3])
    ]
    return np.stack(maps, axis=-1)[: image.shape[0] : stride, : image.shape[1] : stride]


def test_features_equal_an_independent_computation():
    settings = settings_of("pairwise", overrides=["autoencoder.filters=[3,5]", "autoencoder.strides=[1,2]"]).autoencoder
    keras.utils.set_random_seed(3)
    network = autoencoder.autoencoder(8, 2, settings)
    for layer in network.layers:
        layer.set_weights([np.random.default_rng(1).normal(0, 0.3, w.shape) for w in layer.get_weights()])
    images = np.random.default_rng(2).uniform(-1, 1, (20, 8, 8, 2))  # more than a batch
    got = autoencoder.features(autoencoder.encoder_of(network), images)
    (first, first_bias), (second, second_bias) = (network.get_layer(name).get_weights() for name in ("conv1", "code"))
    for image, features in zip(images, got, strict=True):
        x = np.maximum(same_convolution(image, first.astype(float), first_bias, 1), 0)
        x = np.maximum(same_convolution(x, second.astype(float), second_bias, 2), 0)
        np.testing.assert_allclose(features, x.max(axis=(0, 1)), atol=1e-5)


def test_daef_is_the_distance_of_the_centroids():
    real, fake = np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([[4.0, 4.0]])
    assert autoencoder.daef(real, fake) == pytest.approx(5.0)
    assert autoencoder.daef(real, real[::-1]) == 0


def test_only_the_tumour_is_left():
    images, tumour = np.full((1, 2, 2, 3), 0.5, np.float32), np.array([[[True, False], [False, False]]])
    left = autoencoder.tumour_only(images, tumour)
    assert left[0, 0, 0].tolist() == [0.5] * 3
    assert (left[0].reshape(4, 3)[1:] == -1).all()


def small(overrides, *more):
    return settings_of("pairwise", overrides=[*overrides, "autoencoder.checkpoint_every=1", *more])


@pytest.fixture
def train(prepared_folder, small_overrides):
    prepared = open_prepared(prepared_folder)

    def run(folder, *more):
        settings = small(small_overrides, *more)
        return autoencoder.train_autoencoder(settings, prepared, ("t1", "t1e"), folder, quiet=True)

    return run


def test_it_learns_and_is_not_trained_twice(train, tmp_path):
    more = ("epochs=12", "learning_rate=0.002", "filters=[8,16]", "strides=[1,2]")
    more = tuple(f"autoencoder.{setting}" for setting in more)
    encoder = train(tmp_path / "run", *more)
    loss = read_history(tmp_path / "run" / "history.csv")["loss"]
    assert loss[-1] < loss[0] / 3
    written = (tmp_path / "run" / "encoder.keras").stat().st_mtime_ns
    again = train(tmp_path / "run", *more)
    assert (tmp_path / "run" / "encoder.keras").stat().st_mtime_ns == written
    for before, after in zip(encoder.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_one_of_other_settings_is_trained_anew(train, tmp_path):
    first = train(tmp_path / "run")
    other = train(tmp_path / "run", "autoencoder.seed=5")
    assert not np.array_equal(first.get_weights()[0], other.get_weights()[0])
    for again, before in zip(train(tmp_path / "run").get_weights(), first.get_weights(), strict=True):
        np.testing.assert_array_equal(again, before)


def test_an_interrupted_training_goes_on_to_the_same_weights(train, tmp_path, monkeypatch):
    from kerasgan.gan.training import _Keeper

    whole = train(tmp_path / "whole")
    end, count = _Keeper.on_train_batch_end, iter(range(10**6))

    def interrupt(self, batch, logs=None):
        if next(count) == 1:
            self.requests.append(15)
        end(self, batch, logs)

    monkeypatch.setattr(_Keeper, "on_train_batch_end", interrupt)
    with pytest.raises(Stopped):
        train(tmp_path / "run")
    monkeypatch.undo()
    assert not (tmp_path / "run" / "encoder.keras").exists()
    for got, wanted in zip(train(tmp_path / "run").get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(got, wanted)
