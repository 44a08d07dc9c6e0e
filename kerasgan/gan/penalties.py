"""What keeps a Wasserstein critic smooth: gradient penalties and weight clipping.

Everything random is an argument, so that the same inputs give the same penalty.
"""

from collections.abc import Callable, Iterable

import keras
import tensorflow as tf

from kerasgan.errors import UserError

EPSILON = 1e-12  # added to the square of a gradient's norm


def interpolate(real: tf.Tensor, fake: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
    """Points alpha x + (1 - alpha) x~ on the segments between real and generated images: Gulrajani et al. 2017, Alg. 1.

    `real` and `fake` (batch, ...) have one shape; `alpha` (batch,) in [0, 1] has one number for each image.
    Returns float32 of the images' shape. Raises tf.errors.InvalidArgumentError (ValueError where a graph is traced
    with known shapes) if the shapes differ or there is not one alpha for each image.
    """
    real = tf.cast(real, tf.float32)
    fake = tf.ensure_shape(tf.cast(fake, tf.float32), real.shape)
    per_image = tf.concat(([tf.shape(real)[0]], tf.ones(real.shape.rank - 1, tf.int32)), axis=0)
    alpha = tf.reshape(tf.cast(alpha, tf.float32), per_image)
    return alpha * real + (1.0 - alpha) * fake


def gradient_penalty(
    critic: Callable[[tf.Tensor], tf.Tensor],
    real: tf.Tensor,
    fake: tf.Tensor,
    alpha: tf.Tensor,
) -> tf.Tensor:
    """E (||grad D(x^)|| - 1)^2 with x^ = interpolate(real, fake, alpha): Gulrajani et al. 2017 (WGAN-GP), eq. (3).

    `critic` maps float32 images (batch, ...) to logits; `alpha` (batch,) is to be drawn uniformly from [0, 1].
    The norm runs over all pixels and channels of an image; EPSILON stands inside its square root, where it keeps
    the derivative finite at a gradient of 0. Float32 also for a critic that computes in bfloat16. The weight lambda
    is the caller's. Returns a scalar, at least 0.
    """
    squares = squared_gradient_norms(critic, interpolate(real, fake, alpha))
    return tf.reduce_mean(tf.square(tf.sqrt(squares + EPSILON) - 1.0))


def divergence_penalty(
    critic: Callable[[tf.Tensor], tf.Tensor], images: tf.Tensor, k: float, power: float
) -> tf.Tensor:
    """k E ||grad D(x)||^p at given points, such as `interpolate` makes: Wu et al. 2018 (WGAN-div), eq. (8).

    `critic` maps float32 images (batch, ...) to logits. The norm runs over all pixels and channels of an image;
    EPSILON, added to its square, keeps the derivative finite at a gradient of 0 where p < 2. Float32 also for a
    critic that computes in bfloat16. Returns a scalar, at least 0. Raises UserError unless `power` is positive.
    """
    if not power > 0:
        raise UserError(f"the divergence penalty needs a positive power, not {power!r}")
    squares = squared_gradient_norms(critic, tf.cast(images, tf.float32))
    return k * tf.reduce_mean(tf.pow(squares + EPSILON, power / 2))


def squared_gradient_norms(critic: Callable[[tf.Tensor], tf.Tensor], images: tf.Tensor) -> tf.Tensor:
    """||grad D(x)||^2 of each image of a batch, float32 (batch,)."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        logits = critic(images)
    gradients = tape.gradient(logits, images)
    return tf.reduce_sum(tf.square(gradients), axis=range(1, gradients.shape.rank))


def clip_weights(variables: Iterable[keras.Variable], limit: float) -> None:
    """Clips every variable to [-limit, limit] in place: Arjovsky et al. 2017 (WGAN), Algorithm 1, line 7.

    Raises UserError unless `limit` is positive.
    """
    if not limit > 0:
        raise UserError(f"weight clipping needs a positive limit, not {limit!r}")
    for variable in variables:
        variable.assign(tf.clip_by_value(tf.convert_to_tensor(variable), -limit, limit))
