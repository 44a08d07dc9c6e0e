"""Adversarial losses, named after their papers: pure functions of logits, float32 out whatever comes in.

`real_logits` and `fake_logits` are the critic's raw outputs (no sigmoid) for real and generated images, of any shape:
one number an image, or a map of them for a patch critic. Every loss is a scalar, the mean over images and positions.
Gradient penalties and weight clipping stand in `penalties`.
"""

import tensorflow as tf


def least_squares_discriminator(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """E (D(x) - 1)^2 + E D(G(z))^2, at least 0: Mao et al. 2017 (LSGAN), eq. (9), without its factor 1/2."""
    return _mean(tf.square(_float32(real_logits) - 1.0)) + _mean(tf.square(_float32(fake_logits)))


def least_squares_generator(fake_logits: tf.Tensor) -> tf.Tensor:
    """E (D(G(z)) - 1)^2, at least 0: Mao et al. 2017 (LSGAN), eq. (9), without its factor 1/2."""
    return _mean(tf.square(_float32(fake_logits) - 1.0))


def non_saturating_discriminator(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """-E log s(D(x)) - E log(1 - s(D(G(z)))), s the sigmoid: Goodfellow et al. 2014, eq. (1), with the sign turned.

    Computed as softplus of the logits, so it stays finite where the sigmoid has rounded to 0 or 1.
    """
    return _mean(tf.nn.softplus(-_float32(real_logits))) + _mean(tf.nn.softplus(_float32(fake_logits)))


def non_saturating_generator(fake_logits: tf.Tensor) -> tf.Tensor:
    """-E log s(D(G(z))), s the sigmoid: Goodfellow et al. 2014, section 3, the objective with stronger gradients."""
    return _mean(tf.nn.softplus(-_float32(fake_logits)))


def wasserstein_critic(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """E D(G(z)) - E D(x), minus the estimated distance: Arjovsky et al. 2017 (WGAN), eq. (3) and Algorithm 1."""
    return _mean(fake_logits) - _mean(real_logits)


def wasserstein_generator(fake_logits: tf.Tensor) -> tf.Tensor:
    """-E D(G(z)): Arjovsky et al. 2017 (WGAN), Algorithm 1, line 10."""
    return -_mean(fake_logits)


def weighted_l1(prediction: tf.Tensor, target: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """E |w (x - y)|, the mean over images, pixels and channels of the distance weighted pixel by pixel.

    `prediction` and `target` have one shape, (batch, height, width, channels); `weight` broadcasts to it. The mean
    is over all pixels, so halving the area that has weight halves the loss. With a weight of 1 everywhere it is the
    L1 loss of Isola et al. 2017 (pix2pix), eq. (3), as a mean. Raises ValueError (tf.errors.InvalidArgumentError
    where shapes are unknown beforehand) if the two shapes differ, which would broadcast to another loss.
    """
    prediction, target = _float32(prediction), _float32(target)
    return _mean(tf.abs(_float32(weight) * (prediction - tf.ensure_shape(target, prediction.shape))))


def _float32(values: tf.Tensor) -> tf.Tensor:
    return tf.cast(values, tf.float32)


def _mean(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(_float32(values))
