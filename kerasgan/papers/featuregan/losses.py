"""Soft Dice losses: pure functions of probabilities, float32 out whatever comes in.

`probability` and `mask` have one shape, (batch, height, width, 1); a mask is 0 or 1. Sums run over each image and the
loss is the mean over images, as in TensorLayer 1.x (`dice_coe` with axis (1, 2, 3)): an image weighs as much as
another whatever the size of its tumour. `smooth`, the e of the equations, makes the loss 0 where mask and prediction
are both empty, and every gradient finite: at most about 1 / e, where a mask is empty and the prediction nearly so.
Another shape of the mask raises tf.errors.InvalidArgumentError, or ValueError while a graph is traced, since it would
broadcast.
"""

import tensorflow as tf


def soft_dice(probability: tf.Tensor, mask: tf.Tensor, smooth: float) -> tf.Tensor:
    """1 - (2 TP + e) / ((TP + FP) + (TP + FN) + e), in [0, 1]: Mehra et al. 2022, eq. (3).

    TP = sum p m, TP + FP = sum p, TP + FN = sum m.
    """
    return tf.reduce_mean(soft_dice_of_each(probability, mask, smooth))


def soft_dice_of_each(probability: tf.Tensor, mask: tf.Tensor, smooth: float) -> tf.Tensor:
    """`soft_dice` of each image, (batch,)."""
    return _losses(probability, mask, smooth, lambda values: values)


def squared_soft_dice(probability: tf.Tensor, mask: tf.Tensor, smooth: float) -> tf.Tensor:
    """1 - (2 sum p m + e) / (sum p^2 + sum m^2 + e), in [0, 1]: Milletari et al. 2016 (V-Net), section 3.

    TensorLayer's default, which it calls "jaccard", and so what u-net-brain-tumor trains with.
    """
    return tf.reduce_mean(_losses(probability, mask, smooth, tf.square))


def _losses(probability: tf.Tensor, mask: tf.Tensor, smooth: float, size_of) -> tf.Tensor:
    p, m = tf.cast(probability, tf.float32), tf.cast(tf.ensure_shape(mask, probability.shape), tf.float32)
    overlap, predicted, true = (tf.reduce_sum(each, (1, 2, 3)) for each in (p * m, size_of(p), size_of(m)))
    return 1.0 - (2.0 * overlap + smooth) / (predicted + true + smooth)
