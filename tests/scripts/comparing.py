"""What comparisons of one step of ours and of others share."""

import math

import numpy as np
import tensorflow as tf

SIZE = 32
# PyTorch's Adam adds epsilon after correcting the second moment, Keras's before: at step 1, sqrt(1 - beta_2) of it.
FIRST_EPSILON = 1e-7 / math.sqrt(1 - 0.999)


def flat(weights):
    return np.concatenate([array.ravel() for array in weights])


def to_torch(array):
    return array.transpose(3, 2, 0, 1).copy() if array.ndim == 4 else array


def tensors_of(batch):
    return {name: tf.constant(array) for name, array in batch.items()}


def assert_same_first_step(ours, theirs, before, rate):
    """Adagrad's first step is the rate in the gradient's direction; a gradient of rounding errors may have any."""
    moves, other_moves = flat(ours) - flat(before), flat(theirs) - flat(before)
    assert np.mean(np.abs(moves - other_moves) > 0.05 * rate) < 1e-3
    assert np.mean(np.abs(moves)) > 0.5 * rate


def assert_same_latent_step(pairs, before, rate):
    """Both optimizers' first step is a multiple of the rate in the gradient's direction, which rounding may turn."""
    for (ours, theirs), start in zip(pairs, before, strict=True):
        assert np.mean(np.abs(flat(ours) - flat(theirs)) > 0.1 * rate) < 2e-3
        assert np.mean(np.abs(flat(ours) - flat(start))) > 0.5 * rate


def latent_weights(network):
    """The trainable arrays, kernels in PyTorch's layout: (in, out, h, w) where transposed, else (out, in, h, w)."""
    return [
        array.transpose(3, 2, 0, 1).copy() if array.ndim == 4 else array.T.copy()
        for array in map(np.array, network.trainable_variables)
    ]
