"""Convolutions of stride 2 and transposed ones, as in DCGAN, with each of their three products in its fastest form.

Either layer joins large images (n, H, W, c) and small maps (n, H/2, W/2, f) by one kernel (k, k, c, f), and trains by
three products: images * kernel -> maps, maps * kernel -> images, images * maps -> gradient of the kernel. The strided
convolution computes the first and is trained by the other two; the transposed one computes the second and is trained
by the first and the third. On a processor TensorFlow's second is slow for images of few channels, and its third for
small maps of many channels. With an even kernel and SAME padding both have an exact form without strides: seen as
blocks of 2 x 2 pixels (n, H/2, W/2, 4 c), an image meets the maps in a k/2 x k/2 convolution of stride 1.
"""

import itertools

import keras
import tensorflow as tf

from kerasgan.errors import UserError, nearest
from kerasgan.gan.layers import dynamic_shape

FORMS = ("auto", "strided", "phases", "patches")
FIXED = ("strides", "padding", "output_padding", "data_format", "dilation_rate", "groups")  # of Keras's arguments


@keras.saving.register_keras_serializable(package="kerasgan")
class TransposedConv2D(keras.layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose(filters, kernel_size, strides=2, padding="same")` with an even kernel.

    Parameters and files' weights are interchangeable with it, outputs and gradients agree to rounding. Input (batch,
    height, width, channels), output (batch, 2 height, 2 width, filters), channels last; all but the channels may be
    unknown. Further arguments are Keras's.

    `form` is how the numbers are computed, never what they are:
        "strided"  by TensorFlow's strided operations alone;
        "phases"   maps * kernel by a transposed convolution of stride 1 to 4 x filters, one group for each phase;
        "patches"  the gradient of the kernel by a matrix product for each tap of the blocks' kernel;
        "auto"     the fastest of them, see `fastest_form`.
    Raises UserError where `kernel_size` is not a positive even integer or `form` is unknown.
    """

    def __init__(self, filters: int, kernel_size: int, form: str = "auto", **kwargs):
        _check("TransposedConv2D", kernel_size, form)
        super().__init__(filters, kernel_size, 2, "same", data_format="channels_last", **kwargs)
        self.form = form

    def call(self, inputs):
        """Images (batch, height, width, channels) to (batch, 2 height, 2 width, filters)."""
        outputs = transposed_convolution(inputs, tf.convert_to_tensor(self.kernel), self.form)
        if self.use_bias:
            outputs = tf.nn.bias_add(outputs, tf.convert_to_tensor(self.bias))
        return self.activation(outputs)

    def get_config(self):
        """The constructor's arguments, serialised."""
        return _config(super().get_config(), self)


@keras.saving.register_keras_serializable(package="kerasgan")
class StridedConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D(filters, kernel_size, strides=2, padding="same")` with an even kernel.

    Input (batch, height, width, channels), output (batch, ceil(height / 2), ceil(width / 2), filters); everything
    else as in `TransposedConv2D`.
    """

    def __init__(self, filters: int, kernel_size: int, form: str = "auto", **kwargs):
        _check("StridedConv2D", kernel_size, form)
        super().__init__(filters, kernel_size, 2, "same", data_format="channels_last", **kwargs)
        self.form = form

    def convolution_op(self, inputs, kernel):
        """Images (batch, height, width, channels) to maps of half the size, without bias."""
        return strided_convolution(inputs, tf.convert_to_tensor(kernel), self.form)

    def get_config(self):
        """The constructor's arguments, serialised."""
        return _config(super().get_config(), self)


def fastest_form(kernel: int, channels: int, height: int | None, width: int | None) -> str:
    """The form that "auto" takes: of a k x k kernel, the large images' channels, and the small maps' size."""
    # On a processor (2 cores, AVX-512), 4 x 4 kernels, batch 64, times faster than the strided operation:
    #    "phases"   small maps        large images       float32  bfloat16
    #                64x64x32    128x128x1                 3.0      2.9
    #                64x64x32    128x128x4                 2.5      2.5
    #                64x64x32    128x128x8                 1.3      1.8
    #                64x64x32    128x128x16                0.9      1.0
    #    "patches"    4x4x512        8x8x256               1.2      2.4
    #                 8x8x512      16x16x256               1.1      2.0
    #                 8x8x256      16x16x128               1.0      1.4
    #               16x16x128      32x32x64                0.7      0.9
    # Slower, forward and backward, at each of DCGAN's layers: all phases as one convolution (3 x 3 with taps of zeros:
    # 0.3 to 0.6 in float32, 0.4 to 1.0 in bfloat16), as one of 2 x 2 taps with its border cropped (0.3 to 0.6), one
    # convolution for each phase (0.03 to 1.2), a matrix product with an overlapping sum (0.04 to 0.3). Of the strided
    # convolution's own product no other form was faster (blocks: 0.7 to 1.1).
    if kernel != 4:
        return "strided"
    if channels <= 8:
        return "phases"
    return "patches" if height and width and height * width <= 64 else "strided"


def strided_convolution(images: tf.Tensor, kernel: tf.Tensor, form: str = "auto") -> tf.Tensor:
    """Images (n, H, W, c), of any size, and kernel (k, k, c, f), k even, to (n, ceil(H / 2), ceil(W / 2), f)."""
    half = [size and (size + 1) // 2 for size in images.shape[1:3]]
    passes = _passes(form, kernel, half)
    return _strided(images, kernel, passes)


def transposed_convolution(maps: tf.Tensor, kernel: tf.Tensor, form: str = "auto") -> tf.Tensor:
    """Maps (n, h, w, f) and kernel (k, k, c, f), k even, to (n, 2 h, 2 w, c)."""
    _, height, width = dynamic_shape(maps)
    return _transposed(maps, kernel, (2 * height, 2 * width), _passes(form, kernel, maps.shape[1:3]))


# ---- the layers' products, each with its gradients ----
# The gradients of either are made of the other, so that they can be differentiated again (gradient penalties).


def _strided(images: tf.Tensor, kernel: tf.Tensor, passes: tuple) -> tf.Tensor:
    _, kernel_gradient = passes

    @tf.custom_gradient
    def product(images, kernel):
        def gradients(upstream):
            size = dynamic_shape(images)[1:]
            return _transposed(upstream, kernel, size, passes), kernel_gradient(images, upstream, kernel.shape[0])

        return tf.nn.conv2d(images, kernel, 2, "SAME"), gradients

    return product(images, kernel)


def _transposed(maps: tf.Tensor, kernel: tf.Tensor, size: tuple, passes: tuple) -> tf.Tensor:
    images_of, kernel_gradient = passes

    @tf.custom_gradient
    def product(maps, kernel):
        def gradients(upstream):
            return _strided(upstream, kernel, passes), kernel_gradient(upstream, maps, kernel.shape[0])

        return images_of(maps, kernel, size), gradients

    return product(maps, kernel)


# ---- maps * kernel -> images (n, *size, c) ----


def _images_strided(maps: tf.Tensor, kernel: tf.Tensor, size: tuple) -> tf.Tensor:
    return tf.nn.conv2d_transpose(maps, kernel, (dynamic_shape(maps)[0], *size, kernel.shape[2]), 2, "SAME")


def _images_of_phases(maps: tf.Tensor, kernel: tf.Tensor, size: tuple) -> tf.Tensor:
    half, channels = kernel.shape[0] // 2, kernel.shape[2]
    batch, height, width = dynamic_shape(maps)
    rows, columns, cut = height + half - 1, width + half - 1, half - 1
    blocks = tf.nn.conv2d_transpose(maps, _kernel_of_blocks(kernel), (batch, rows, columns, 4 * channels), 1, "VALID")
    # depth_to_space, which runs on one core, and the crop: transposed by whole pairs of pixels instead of by pixels.
    pairs = tf.transpose(tf.reshape(blocks, (batch, rows, columns, 2, 2 * channels)), (0, 1, 3, 2, 4))
    lines = tf.reshape(pairs, (batch, 2 * rows, 2 * columns * channels))
    lines = lines[:, cut : cut + size[0], cut * channels : (cut + size[1]) * channels]
    return tf.reshape(lines, (batch, *size, channels))


# ---- images * maps -> gradient of the kernel (k, k, c, f) ----


def _kernel_strided(images: tf.Tensor, maps: tf.Tensor, kernel_size: int) -> tf.Tensor:
    shape = (kernel_size, kernel_size, images.shape[-1], maps.shape[-1])
    return tf.raw_ops.Conv2DBackpropFilter(
        input=images, filter_sizes=shape, out_backprop=maps, strides=[1, 2, 2, 1], padding="SAME"
    )


def _kernel_of_patches(images: tf.Tensor, maps: tf.Tensor, kernel_size: int) -> tf.Tensor:
    half, channels, filters = kernel_size // 2, images.shape[-1], maps.shape[-1]
    _, height, width = dynamic_shape(maps)
    blocks = _blocks(images, height + half - 1, width + half - 1, half - 1)
    flat = tf.reshape(maps, (-1, filters))
    shifted = [blocks[:, i : i + height, j : j + width] for i, j in itertools.product(range(half), range(half))]
    taps = [tf.matmul(tf.reshape(each, (-1, 4 * channels)), flat, transpose_a=True) for each in shifted]
    taps = tf.reshape(tf.stack(taps), (half, half, 2, 2, channels, filters))
    return tf.reshape(tf.transpose(taps, (0, 2, 1, 3, 4, 5)), (kernel_size, kernel_size, channels, filters))


PASSES = {
    "strided": (_images_strided, _kernel_strided),
    "phases": (_images_of_phases, _kernel_strided),
    "patches": (_images_strided, _kernel_of_patches),
}


def _passes(form: str, kernel: tf.Tensor, size) -> tuple:
    chosen = fastest_form(kernel.shape[0], kernel.shape[2], *size) if form == "auto" else form
    return PASSES[chosen]


def _blocks(images: tf.Tensor, rows, columns, before: int) -> tf.Tensor:
    """Images padded by `before` pixels, and behind as needed, as (batch, rows, columns, 2 x 2 x channels)."""
    batch, height, width = dynamic_shape(images)
    after = (2 * rows - before - height, 2 * columns - before - width)
    padded = tf.pad(images, [[0, 0], [before, after[0]], [before, after[1]], [0, 0]])
    channels = images.shape[-1]
    blocks = tf.transpose(tf.reshape(padded, (batch, rows, 2, columns, 2, channels)), (0, 1, 3, 2, 4, 5))
    return tf.reshape(blocks, (batch, rows, columns, 4 * channels))


def _kernel_of_blocks(kernel: tf.Tensor) -> tf.Tensor:
    """(k, k, c, f) to (k/2, k/2, 2 x 2 x c, f)."""
    half, (_, _, channels, filters) = kernel.shape[0] // 2, kernel.shape
    taps = tf.transpose(tf.reshape(kernel, (half, 2, half, 2, channels, filters)), (0, 2, 1, 3, 4, 5))
    return tf.reshape(taps, (half, half, 4 * channels, filters))


def _check(name: str, kernel_size: int, form: str) -> None:
    if not isinstance(kernel_size, int) or kernel_size < 1 or kernel_size % 2:
        raise UserError(f"{name}: kernel_size is a positive even integer, not {kernel_size!r}")
    if form not in FORMS:
        raise UserError(f"{name}: unknown form {form!r}; {nearest(str(form), FORMS)}")


def _config(config: dict, layer: keras.layers.Layer) -> dict:
    kept = {name: value for name, value in config.items() if name not in FIXED}
    return kept | {"kernel_size": layer.kernel_size[0], "form": layer.form}
