"""The networks of Han 2018, 3.2.2."""

from itertools import pairwise

import keras
import numpy as np
import pytest

from kerasgan.errors import UserError
from kerasgan.gan.normalisation import FusedBatchNormalization
from kerasgan.papers import settings_of
from kerasgan.papers.brainmr import networks


@pytest.fixture(scope="module")
def settings():
    return settings_of("dcgan").network


def convolution(inputs, outputs, bias=False):
    return 16 * inputs * outputs + bias * outputs


@pytest.mark.parametrize(("size", "filters"), [(64, [512, 256, 128, 64]), (128, [512, 256, 128, 64, 32])])
def test_published_layers_and_parameters(settings, size, filters):
    """Half of Radford's channels, kernels 4x4, one level more for 128; counts by hand."""
    generator, critic = networks.generator(size, settings), networks.critic(size, settings)
    up = [convolution(a, b) for a, b in pairwise(filters)]
    norms = 2 * sum(filters)
    expected = 100 * 16 * filters[0] + sum(up) + norms + convolution(filters[-1], 1, bias=True)
    assert count(generator) == expected
    down = filters[::-1]
    steps = [convolution(a, b) for a, b in pairwise(down)]
    expected = convolution(1, down[0], bias=True) + sum(steps) + 2 * sum(down[1:]) + 16 * down[-1]
    assert count(critic) == expected
    assert generator.output.shape == (None, size, size, 1)
    assert critic.output.shape == (None, 1)
    kernels = [layer for layer in (*generator.layers, *critic.layers) if hasattr(layer, "kernel_size")]
    assert all(layer.kernel_size == (4, 4) and layer.strides == (2, 2) for layer in kernels)


def count(network):
    return sum(np.prod(variable.shape) for variable in network.trainable_variables)


def test_linear_output_elu_and_where_normalisation_is(settings):
    generator, critic = networks.generator(64, settings), networks.critic(64, settings)
    assert generator.layers[-1].activation is keras.activations.linear  # "no tanh"
    kinds = [type(layer) for layer in critic.layers]
    assert kinds.count(keras.layers.ELU) == 4 and keras.layers.LeakyReLU not in kinds
    assert kinds.count(FusedBatchNormalization) == 3, "not after the first convolution (Radford et al. 2016)"
    first = critic.get_layer("map32_down")
    assert first.use_bias and not critic.get_layer("map16_down").use_bias


def test_kernels_start_as_radfords(settings):
    keras.utils.set_random_seed(1)
    for layer in networks.generator(64, settings).layers:
        if hasattr(layer, "kernel"):
            assert np.std(layer.kernel) == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize("size", [100, 4, 256])
def test_other_sizes_are_refused(settings, size):
    with pytest.raises(UserError, match=rf"images of {size}x{size}: .* sizes \[8, 16, 32, 64, 128\]"):
        networks.generator(size, settings)


def test_bfloat16_makes_float32_images_and_verdicts(settings):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        generator, critic = networks.generator(64, settings), networks.critic(64, settings)
    finally:
        keras.config.set_dtype_policy("float32")
    assert (generator.output.dtype, critic.output.dtype) == ("float32", "float32")
    assert generator.get_layer("map8_up").compute_dtype == "bfloat16"
