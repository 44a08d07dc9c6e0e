"""Networks of Mukherjee 2022 against hand-counted sizes, and the WGAN-div penalty of a run."""

from itertools import pairwise

import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kerasgan.data.prepare import open_prepared
from kerasgan.errors import UserError
from kerasgan.experiment.tasks import TASKS
from kerasgan.gan.normalisation import FusedBatchNormalization
from kerasgan.papers import settings_of
from kerasgan.papers.aggrgan import networks

FILTERS = (512, 256, 128, 64, 32)


@pytest.fixture(scope="module")
def settings():
    return settings_of("dcgan1")


def trained(network):
    return sum(int(np.prod(v.shape)) for v in network.trainable_variables)


@pytest.mark.parametrize("up", ["upsampled", "transposed"])
def test_generator_by_hand(settings, up):
    network = networks.generator(128, settings.network, up)
    kernels = 100 * 16 * 512 + sum(16 * a * b for a, b in pairwise(FILTERS)) + 16 * 32 + 1
    assert trained(network) == kernels + 2 * sum(FILTERS)
    assert network.output_shape == (None, 128, 128, 1)
    images = network(tf.random.normal((2, 100), seed=1) * 100)
    assert images.dtype == tf.float32 and np.abs(images).max() <= 1
    assert not any(isinstance(layer, layers.ReLU) for layer in network.layers)


def test_discriminator_by_hand(settings):
    network = networks.discriminator(128, settings.network)
    up = FILTERS[::-1]
    kernels = 16 * 32 + 32 + sum(16 * a * b for a, b in pairwise(up)) + 16 * 512 + 1
    assert trained(network) == kernels + 2 * sum(up[1:])
    dropouts = [layer for layer in network.layers if isinstance(layer, layers.Dropout)]
    assert [layer.rate for layer in dropouts] == [0.25] * 5
    assert network.output_shape == (None, 1)


def test_the_smooth_critic_keeps_images_apart(settings):
    network = networks.smooth_critic(128, settings.network)
    assert not any(isinstance(layer, (FusedBatchNormalization, layers.Dropout)) for layer in network.layers)
    images = tf.random.stateless_normal((3, 128, 128, 1), (1, 2))
    together, alone = network(images, training=True), network(images[:1], training=True)
    np.testing.assert_allclose(together[:1], alone, atol=1e-5)


def test_the_recogniser_shares_its_trunk(settings):
    own = networks.recogniser(128, settings.network, codes=12, hidden=128)
    plain = networks.discriminator(128, settings.network)
    assert trained(own) == trained(plain) + 16 * 512 * 128 + 2 * 128 + 128 * 12 + 12
    assert [shape for shape in own.output_shape] == [(None, 1), (None, 12)]


def test_sizes_that_are_no_power_of_two_are_refused(settings):
    with pytest.raises(UserError, match=r"images of 96x96: network.filters has 5 levels, for sizes \[8, 16, 32, 64"):
        networks.generator(96, settings.network, "upsampled")


@pytest.mark.parametrize("points", ["mixed", "ends"])
def test_penalty_of_a_run_by_hand(classes_folder, aggrgan_overrides, points):
    overrides = [*aggrgan_overrides, f"wgandiv.points={points}", "wgandiv.k=2.0", "wgandiv.power=6.0"]
    settings = settings_of("wgandiv", overrides=overrides)
    task = TASKS["wgandiv"](settings, open_prepared(classes_folder, settings.data), {"category": "mutant"})
    real, fake = np.random.default_rng(1).normal(size=(2, 4, 3, 3, 1)).astype("float32") / 2
    alpha = np.float32([0.2, 0.5, 0.9, 1.0]).reshape(4, 1, 1, 1)

    # D(x) = |x|^2 / 2 has the gradient x.
    def critic(images, training):
        return tf.reduce_sum(images**2, axis=(1, 2, 3)) / 2

    where = alpha * real + (1 - alpha) * fake if points == "mixed" else np.concatenate([real, fake])
    expected = 2 * np.mean(np.linalg.norm(where.reshape(len(where), -1), axis=1) ** 6)
    assert float(task.penalty(critic, real, fake, alpha)) == pytest.approx(expected, rel=1e-5)


def test_fewer_images_than_a_step_takes(classes_folder, aggrgan_overrides):
    settings = settings_of("wgandiv", overrides=[*aggrgan_overrides, "wgandiv.batch_size=32"])
    with pytest.raises(UserError, match=r"images of wgandiv of mutant to learn from, a step takes 64; add patients"):
        TASKS["wgandiv"](settings, open_prepared(classes_folder, settings.data), {"category": "mutant"})
