"""The layers of Karras et al. 2018 ("Progressive growing of GANs for improved quality, stability, and variation").

Weights are drawn from N(0, 1) and multiplied by He's constant at run time (section 4.1), so that Adam, whose steps do
not depend on a gradient's scale, changes all of them at one speed relative to their range.
"""

import keras
import numpy as np
import tensorflow as tf

from kerasgan.errors import UserError, nearest
from kerasgan.gan.layers import UP_CONVOLUTIONS

RESAMPLINGS = ("none", "up", "down")
HE = 2**0.5  # gain of layers that a (leaky) ReLU follows; 1 is that of linear ones
GROUP = 4  # images of which the minibatch standard deviation is taken
EPSILON = 1e-8  # of pixel norm and minibatch standard deviation


class _Equalised(keras.layers.Layer):
    """A kernel drawn from N(0, 1), times `gain` / sqrt(fan in) at run time, and a bias that begins at zero."""

    def __init__(self, gain: float, **kwargs):
        super().__init__(**kwargs)
        self.gain = gain

    def _make(self, *shape: int) -> None:
        # The product is taken in the variable's precision and rounded once.
        self.kernel = self.add_weight(
            name="kernel", shape=shape, initializer=keras.initializers.RandomNormal(stddev=1.0), autocast=False
        )
        self.bias = self.add_weight(name="bias", shape=shape[-1:], initializer="zeros")
        self.scale = self.gain / np.sqrt(np.prod(shape[:-1]))

    def _scaled(self) -> tf.Tensor:
        return tf.convert_to_tensor(self.kernel) * self.scale

    def get_config(self):
        """The constructor's arguments, serialised."""
        return super().get_config() | {"gain": self.gain}


@keras.saving.register_keras_serializable(package="kerasgan")
class EqualisedDense(_Equalised):
    """`keras.layers.Dense(units)` with equalised learning rate: (n, k) to (n, units), linear.

    Args:
        units: numbers out.
        gain: the kernel's standard deviation at the start is gain / sqrt(k).
    """

    def __init__(self, units: int, gain: float = HE, **kwargs):
        super().__init__(gain, **kwargs)
        self.units = units

    def build(self, input_shape):
        """Creates `kernel` (k, units) and `bias` (units,)."""
        self._make(input_shape[-1], self.units)

    def call(self, inputs):
        """Rows (n, k) to (n, units)."""
        return tf.matmul(inputs, tf.cast(self._scaled(), inputs.dtype)) + self.bias

    def compute_output_shape(self, input_shape):
        """(n, k) to (n, units)."""
        return (input_shape[0], self.units)

    def get_config(self):
        """The constructor's arguments, serialised."""
        return super().get_config() | {"units": self.units}


@keras.saving.register_keras_serializable(package="kerasgan")
class EqualisedConv2D(_Equalised):
    """`keras.layers.Conv2D(filters, kernel_size, padding="same")` with equalised learning rate, linear.

    Images (n, h, w, c), channels last; n, h and w may be unknown. `resampling` fuses what stands beside the convolution
    into it, to the same numbers up to rounding and with the same kernel (k, k, c, filters):
        "none"  (n, h, w, filters);
        "up"    nearest x2 up-sampling before it: (n, 2 h, 2 w, filters);
        "down"  the mean over blocks of 2 x 2 behind it: (n, h / 2, w / 2, filters); h and w are even, the kernel 3 x 3.

    Args:
        filters: channels out.
        kernel_size: k, odd.
        resampling: see above.
        gain: the kernel's standard deviation at the start is gain / (k sqrt(c)).

    Raises:
        UserError: an unknown resampling, "down" with another kernel, or (when built) images of an odd size.
    """

    def __init__(self, filters: int, kernel_size: int, resampling: str = "none", gain: float = HE, **kwargs):
        if resampling not in RESAMPLINGS:
            raise UserError(f"EqualisedConv2D: no resampling {resampling!r}; {nearest(str(resampling), RESAMPLINGS)}")
        if resampling == "down" and kernel_size != 3:
            raise UserError(f"EqualisedConv2D: down-sampling takes kernels of 3 x 3, not of {kernel_size}")
        super().__init__(gain, **kwargs)
        self.filters, self.kernel_size, self.resampling = filters, kernel_size, resampling

    def build(self, input_shape):
        """Creates `kernel` (k, k, c, filters) and `bias` (filters,)."""
        if self.resampling == "down" and any((side or 0) % 2 for side in input_shape[1:3]):
            raise UserError(f"EqualisedConv2D: images of {input_shape[1]}x{input_shape[2]} have no blocks of 2x2")
        self._make(self.kernel_size, self.kernel_size, input_shape[-1], self.filters)

    def call(self, inputs):
        """Images (n, h, w, c) to (n, *size, filters)."""
        outputs = CONVOLUTIONS[self.resampling](inputs, self._scaled())
        return tf.nn.bias_add(outputs, tf.convert_to_tensor(self.bias))

    def compute_output_shape(self, input_shape):
        """(n, h, w, c) to (n, *size, filters); None stays None."""
        batch, *size, _ = input_shape
        resized = {"none": lambda n: n, "up": lambda n: 2 * n, "down": lambda n: n // 2}[self.resampling]
        return (batch, *(None if n is None else resized(n) for n in size), self.filters)

    def get_config(self):
        """The constructor's arguments, serialised."""
        own = {"filters": self.filters, "kernel_size": self.kernel_size, "resampling": self.resampling}
        return super().get_config() | own


def _convolution(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    return tf.nn.conv2d(images, tf.cast(kernel, images.dtype), 1, "SAME")


def down_convolution(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """A 3 x 3 convolution and the mean over blocks of 2 x 2 pixels: (n, 2 h, 2 w, c) to (n, h, w, filters)."""
    # Two exact forms: Karras's own, of stride 2, whose 4 x 4 kernel is the mean of the kernel shifted by 0 and 1 both
    # ways; and the kernel itself at stride 2 over means of 2 x 2 pixels, taken at every pixel, with 9/16 of the
    # products. Times as fast as convolution and mean on a processor (2 cores, AVX-512), batch 4, derivatives of the
    # gradient penalty included:
    #                              float32              mixed_bfloat16
    #                           4 x 4    means           4 x 4    means
    #     8x8x512   -> 512       0.2      1.7             0.1      1.4
    #     16x16x256 -> 256       0.5      2.3             0.4      2.0
    #     32x32x128 -> 128       1.2      2.4             0.9      2.3
    #     64x64x64  -> 128       1.7      2.8             1.4      2.4
    #     128x128x32 -> 64       2.1      2.7             1.7      1.8
    #     128x128x8 -> 16        1.7      1.2             1.4      0.9
    #     256x256x4 -> 8         2.0      1.1             1.5      0.7
    if kernel.shape[2] <= 8:
        padded = tf.pad(kernel, [[1, 1], [1, 1], [0, 0], [0, 0]])
        summed = padded[1:, 1:] + padded[1:, :-1] + padded[:-1, 1:] + padded[:-1, :-1]
        return tf.nn.conv2d(images, tf.cast(summed / 4, images.dtype), 2, "SAME")
    means = tf.nn.avg_pool2d(tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]]), 2, 1, "VALID")
    return tf.nn.conv2d(means, tf.cast(kernel, images.dtype), 2, "VALID")


# "transposed" is the fastest of the up-convolution's forms for the kernels of 3 x 3 here at batch 4 too, from maps of
# 8 x 8 on: 1.8 to 2.6 times as fast as up-sampling and convolution in float32, 1.0 to 1.8 in mixed_bfloat16.
CONVOLUTIONS = {"none": _convolution, "up": UP_CONVOLUTIONS["transposed"], "down": down_convolution}


@keras.saving.register_keras_serializable(package="kerasgan")
class PixelNorm(keras.layers.Layer):
    """x / sqrt(mean of x^2 over channels + 1e-8), pixel by pixel: Karras et al. 2018, section 4.2.

    Input and output (..., channels). The mean is taken in float32.
    """

    def call(self, inputs):
        """(..., channels), each pixel's vector scaled to a mean square of 1."""
        squares = tf.reduce_mean(tf.square(tf.cast(inputs, tf.float32)), axis=-1, keepdims=True)
        return inputs * tf.cast(tf.math.rsqrt(squares + EPSILON), inputs.dtype)

    def compute_output_shape(self, input_shape):
        """Unchanged."""
        return input_shape


@keras.saving.register_keras_serializable(package="kerasgan")
class MinibatchDeviation(keras.layers.Layer):
    """Appends a channel that tells how much images of a batch differ: Karras et al. 2018, section 3.

    Images i, i + n / g, i + 2 n / g, ... of a batch of n are a group of g = min(4, n). The standard deviation over a
    group, of every pixel and channel, averaged over both, is one number for each group; (n, h, w, c) becomes
    (n, h, w, c + 1). Computed in float32. Under a strategy n is a replica's share of the batch.

    Raises tf.errors.InvalidArgumentError, or UserError if n is known, unless g divides n (`group_of`).
    """

    def call(self, inputs):
        """Images (n, h, w, c) to (n, h, w, c + 1)."""
        height, width, channels = inputs.shape[1:]
        group, count = group_of(inputs.shape[0]), tf.shape(inputs)[0]
        if group is None:
            group = tf.minimum(GROUP, count)
            with tf.control_dependencies([tf.debugging.Assert(tf.equal(count % group, 0), [_UNEVEN, count])]):
                group = tf.identity(group)
        groups = tf.reshape(tf.cast(inputs, tf.float32), (group, count // group, height, width, channels))
        variances = tf.reduce_mean(tf.square(groups - tf.reduce_mean(groups, axis=0)), axis=0)
        deviations = tf.reduce_mean(tf.sqrt(variances + EPSILON), axis=(1, 2, 3))
        maps = tf.tile(deviations[:, None, None, None], (group, height, width, 1))
        return tf.concat([inputs, tf.cast(maps, inputs.dtype)], axis=-1)

    def compute_output_shape(self, input_shape):
        """One channel more."""
        return (*input_shape[:-1], input_shape[-1] + 1)


_UNEVEN = (
    f"the critic compares images in groups of {GROUP}: expected a batch_size of which a replica has up to {GROUP} or a "
    f"multiple of {GROUP}, not"
)


def group_of(batch: int | None) -> int | None:
    """How many of a replica's `batch` images the minibatch standard deviation compares; None of an unknown number.

    Raises UserError if they make no even groups.
    """
    if batch is None:
        return None
    group = min(GROUP, batch)
    if group < 1 or batch % group:
        raise UserError(f"{_UNEVEN} {batch}")
    return group


@keras.saving.register_keras_serializable(package="kerasgan")
class Fade(keras.layers.Layer):
    """(1 - alpha) before + alpha after: Karras et al. 2018, Figure 2.

    Call it with [before, after], of one shape. `alpha`, a scalar in [0, 1] that no optimizer moves, begins at 1; it is
    saved with the weights.
    """

    def build(self, input_shape):
        """Creates `alpha`."""
        self.alpha = self.add_weight(name="alpha", shape=(), initializer="ones", trainable=False, autocast=False)

    def call(self, inputs):
        """One blend of the two."""
        return blend(*inputs, tf.convert_to_tensor(self.alpha))

    def compute_output_shape(self, input_shape):
        """That of either."""
        return input_shape[0]


def blend(before: tf.Tensor, after: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
    """(1 - alpha) before + alpha after, exactly `before` at 0 and `after` at 1; alpha is float32."""
    return tf.cast(1 - alpha, before.dtype) * before + tf.cast(alpha, after.dtype) * after


@keras.saving.register_keras_serializable(package="kerasgan")
class ClassEmbedding(keras.layers.Layer):
    """Labels (n,), integers from 0 to classes - 1, to vectors (n, units) times `scale`, zero at the start.

    Raises tf.errors.InvalidArgumentError at another label (not under XLA, which has no checks: zeros there).
    """

    def __init__(self, classes: int, units: int, scale: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.classes, self.units, self.scale = classes, units, scale

    def build(self, input_shape):
        """Creates `table` (classes, units)."""
        self.table = self.add_weight(name="table", shape=(self.classes, self.units), initializer="zeros")

    def call(self, labels):
        """Each label's vector."""
        labels, table = tf.cast(labels, tf.int32), tf.convert_to_tensor(self.table)
        known = tf.reduce_all((labels >= 0) & (labels < self.classes))
        message = f"a class is an integer from 0 to {self.classes - 1}, not"
        with tf.control_dependencies([tf.debugging.Assert(known, [message, labels], summarize=8)]):
            # A product instead of a look-up: its gradient is dense, and on a GPU the same at every repetition.
            chosen = tf.one_hot(labels, self.classes, dtype=table.dtype)
        return tf.matmul(chosen, table) * tf.cast(self.scale, table.dtype)

    def compute_output_shape(self, input_shape):
        """(n,) to (n, units)."""
        return (input_shape[0], self.units)

    def get_config(self):
        """The constructor's arguments, serialised."""
        return super().get_config() | {"classes": self.classes, "units": self.units, "scale": self.scale}
