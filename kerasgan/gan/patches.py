"""Convolutions of stride 2 without padding, and transposed ones, whose kernel's gradient is one product of matrices.

Both join large images (n, H, W, c) and small maps (n, h, w, f) by one kernel (rows, columns, c, f), and train by three
products, see `kerasgan.gan.transposed`. TensorFlow computes the third, images * maps -> gradient of the kernel, slowly
on a processor where strides are 2. Here, if filters are many, the pixels that each number of the maps sees are laid
out side by side, (n h w, rows columns c), and multiplied with the maps (n h w, f).
"""

import keras
import tensorflow as tf

from kerasgan.gan.transposed import FIXED

# On a processor (2 cores, AVX-512), seconds of both cores for the gradient of a kernel, TensorFlow's and by patches:
#    images           maps           float32      bfloat16
#    16x15x15x1024    16x7x7x512   0.086 0.051  0.069 0.029
#    16x7x7x512       16x3x3x512   0.008 0.005  0.012 0.003
#    16x3x3x512       16x1x1x512   0.004 0.002  0.005 0.001
#    8x30x30x512      8x14x14x512  0.099 0.084  0.060 0.047
#    4x120x120x128    4x59x59x512  0.178 0.179  0.110 0.110
#    16x30x30x512     16x14x14x64  0.026 0.055  0.017 0.045
# Laying out takes as long whatever the number of filters.
WIDE = 256  # filters, from which on it pays; on GPUs TensorFlow's own is taken


@keras.saving.register_keras_serializable(package="kerasgan")
class PatchedConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D(filters, kernel_size, strides=2, padding="valid")`.

    Same weights; outputs and gradients agree to rounding. Input (batch, height, width, channels), channels last.
    """

    def __init__(self, filters: int, kernel_size, **kwargs):
        super().__init__(filters, kernel_size, 2, "valid", data_format="channels_last", **kwargs)

    def convolution_op(self, inputs, kernel):
        """Images to maps, without bias."""
        return strided(inputs, tf.convert_to_tensor(kernel))

    def get_config(self):
        """The constructor's arguments, serialised."""
        return _config(super().get_config())


@keras.saving.register_keras_serializable(package="kerasgan")
class PatchedConv2DTranspose(keras.layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose(filters, kernel_size, strides=2, padding="valid", output_padding=0)`.

    Same weights; outputs and gradients agree to rounding. Input (batch, height, width, channels), channels last,
    output (batch, 2 (height - 1) + rows, 2 (width - 1) + columns, filters).
    """

    def __init__(self, filters: int, kernel_size, **kwargs):
        super().__init__(filters, kernel_size, 2, "valid", output_padding=0, data_format="channels_last", **kwargs)

    def call(self, inputs):
        """Maps to images."""
        height, width = (2 * (n - 1) + k for n, k in zip(inputs.shape[1:3], self.kernel_size, strict=True))
        outputs = transposed(inputs, tf.convert_to_tensor(self.kernel), (height, width))
        if self.use_bias:
            outputs = tf.nn.bias_add(outputs, tf.convert_to_tensor(self.bias))
        return self.activation(outputs)

    def get_config(self):
        """The constructor's arguments, serialised."""
        return _config(super().get_config())


def strided(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Images (n, H, W, c) and kernel (rows, columns, c, f) to maps (n, (H - rows) // 2 + 1, ..., f)."""

    @tf.custom_gradient
    def product(images, kernel):
        def gradient(maps):
            return transposed(maps, kernel, images.shape[1:3]), _kernel_gradient(images, maps, kernel)

        return tf.nn.conv2d(images, kernel, 2, "VALID"), gradient

    return product(images, kernel)


def transposed(maps: tf.Tensor, kernel: tf.Tensor, size) -> tf.Tensor:
    """Maps (n, h, w, f) and kernel (rows, columns, c, f) to images of `size` (H, W), (n, H, W, c)."""

    @tf.custom_gradient
    def product(maps, kernel):
        def gradient(images):
            return strided(images, kernel), _kernel_gradient(images, maps, kernel)

        shape = tf.stack([tf.shape(maps)[0], *size, kernel.shape[2]])
        return tf.ensure_shape(tf.nn.conv2d_transpose(maps, kernel, shape, 2, "VALID"), (None, *size, None)), gradient

    return product(maps, kernel)


def _kernel_gradient(images: tf.Tensor, maps: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    rows, columns, channels, filters = kernel.shape
    if filters < WIDE or tf.config.list_logical_devices("GPU"):
        return tf.raw_ops.Conv2DBackpropFilter(
            input=images, filter_sizes=kernel.shape, out_backprop=maps, strides=[1, 2, 2, 1], padding="VALID"
        )
    patches = tf.image.extract_patches(images, [1, rows, columns, 1], [1, 2, 2, 1], [1, 1, 1, 1], "VALID")
    patches = tf.reshape(patches, (-1, rows * columns * channels))
    return tf.reshape(tf.matmul(patches, tf.reshape(maps, (-1, filters)), transpose_a=True), kernel.shape)


def _config(config: dict) -> dict:
    return {name: value for name, value in config.items() if name not in FIXED}
