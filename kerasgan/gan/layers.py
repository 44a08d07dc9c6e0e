"""Layers that the networks share: nearest-neighbour up-sampling fused with the convolution that follows it.

After nearest x2 up-sampling every 2x2 block holds one value four times, so a k x k convolution of the large image
multiplies the same inputs again and again. Sorted by output phase (even or odd row, even or odd column), the same
numbers come from shorter kernels on the small image, whose taps are sums of the taps of the k x k kernel
(the sub-pixel view of Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?").
"""

import itertools

import keras
import numpy as np
import tensorflow as tf

from kerasgan.errors import UserError, nearest

FORMS = ("auto", "phase", "split", "transposed")
BOTH_PHASES = (0, 1)


@keras.saving.register_keras_serializable(package="kerasgan")
class UpConv2D(keras.layers.Layer):
    """`UpSampling2D(2)` and then `Conv2D(filters, kernel_size, padding="same")`, computed on the small image.

    The parameters are those of the convolution, `kernel` (k, k, channels, filters) and `bias` (filters,), so weights
    are interchangeable with `Conv2D`; outputs and gradients agree to rounding. Input (batch, height, width,
    channels), output (batch, 2 height, 2 width, filters), channels last; batch, height and width may be unknown.

    `form` is how the numbers are computed, never what they are:
        "phase"       one convolution with 4 `filters`, one group of filters for each phase, then depth-to-space;
        "split"       one convolution for each phase, with none but that phase's taps, then depth-to-space;
        "transposed"  a transposed convolution of stride 2 with the (k+1) x (k+1) kernel `kernel * ones(2, 2)`;
        "auto"        the fastest of them, see `fastest_form`.
    Raises UserError where `filters` or `kernel_size` is not a positive integer or `form` is unknown.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        activation=None,
        use_bias: bool = True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        form: str = "auto",
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, value in (("filters", filters), ("kernel_size", kernel_size)):
            if not isinstance(value, int) or value < 1:
                raise UserError(f"UpConv2D: {name} is a positive integer, not {value!r}")
        if form not in FORMS:
            raise UserError(f"UpConv2D: unknown form {form!r}; {nearest(str(form), FORMS)}")
        self.filters = filters
        self.kernel_size = kernel_size
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.form = form
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape):
        """Creates `kernel` and `bias` for images of shape (batch, height, width, channels)."""
        channels = input_shape[-1]
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={-1: channels})
        # Taps are summed in the variable's precision and rounded once, so the kernel is not cast beforehand.
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.kernel_size, self.kernel_size, channels, self.filters),
            initializer=self.kernel_initializer,
            autocast=False,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer=self.bias_initializer)

    def call(self, inputs):
        """Images (batch, height, width, channels) to (batch, 2 height, 2 width, filters)."""
        kernel = tf.convert_to_tensor(self.kernel)
        form = fastest_form(self.kernel_size, self.filters) if self.form == "auto" else self.form
        outputs = UP_CONVOLUTIONS[form](inputs, kernel)
        if self.use_bias:
            outputs = tf.nn.bias_add(outputs, tf.convert_to_tensor(self.bias))
        return self.activation(outputs)

    def compute_output_shape(self, input_shape):
        """(batch, height, width, channels) to (batch, 2 height, 2 width, filters); None stays None."""
        batch, *size, _ = input_shape
        return (batch, *(None if n is None else 2 * n for n in size), self.filters)

    def get_config(self):
        """The constructor's arguments, serialised."""
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "form": self.form,
        }


def fastest_form(kernel_size: int, filters: int) -> str:
    """The form that "auto" takes for a layer: "phase", "split" or "transposed"."""
    # Forward and backward pass on a CPU (2 cores, AVX-512), batch 16, times faster than UpSampling2D + Conv2D:
    #                                    float32                      mixed_bfloat16
    #                            phase  split  transposed       phase  split  transposed
    #   k 4   8x8x256 -> 128      1.5    2.0     1.5             1.3    1.7     1.2
    #   k 4  16x16x256 -> 64      1.8    2.3     1.9             1.6    2.1     1.6
    #   k 4  32x32x128 -> 32      2.0    2.4     1.8             1.8    2.1     1.4
    #   k 4  64x64x64 -> 4        3.8    1.9     3.0             2.7    1.7     1.8
    #   k 4  64x64x64 -> 1        4.8    2.1     5.6             3.0    1.6     3.7
    #   k 3  16x16x256 -> 64      1.1    1.5     2.3             0.9    1.2     1.9
    #   k 3  64x64x64 -> 4        3.1    1.6     4.3             2.6    1.3     2.9
    # The transposed form wastes no product, but crops its output when k is even. Splitting wastes none when k is
    # even, but fills the vector units badly with few filters; then one convolution with its zero taps is faster.
    if kernel_size % 2 or filters == 1:
        return "transposed"
    return "phase" if filters <= 8 else "split"


def _phase(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    return tf.nn.depth_to_space(_phase_convolution(images, kernel, BOTH_PHASES, BOTH_PHASES), 2)


def _split(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    phases = [
        _phase_convolution(images, kernel, (row,), (column,))
        for row, column in itertools.product(BOTH_PHASES, BOTH_PHASES)
    ]
    return tf.nn.depth_to_space(tf.concat(phases, axis=-1), 2)


def _transposed(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    size, _, channels, filters = kernel.shape
    taps = _block_taps(size)
    combined = _combine_taps(kernel, np.kron(taps, taps))
    combined = tf.cast(tf.reshape(combined, (size + 1, size + 1, channels, filters)), images.dtype)
    combined = tf.transpose(combined, (0, 1, 3, 2))
    batch, height, width = dynamic_shape(images)
    if size % 2:
        return tf.nn.conv2d_transpose(images, combined, (batch, 2 * height, 2 * width, filters), 2, "SAME")
    # With an even kernel SAME would cut the border off at the wrong end. Padding given explicitly would be right,
    # but leaves oneDNN on CPUs (measured in bfloat16: 8 to 36 times slower than cropping).
    whole = (batch, 2 * height + size - 1, 2 * width + size - 1, filters)
    first = size // 2
    outputs = tf.nn.conv2d_transpose(images, combined, whole, 2, "VALID")
    return outputs[:, first : first + 2 * height, first : first + 2 * width]


UP_CONVOLUTIONS = {"phase": _phase, "split": _split, "transposed": _transposed}


def _phase_convolution(
    images: tf.Tensor, kernel: tf.Tensor, row_phases: tuple[int, ...], column_phases: tuple[int, ...]
) -> tf.Tensor:
    """The outputs of the given phases side by side as channels, ordered (row phase, column phase, filter)."""
    size, _, channels, filters = kernel.shape
    rows, columns = _phase_taps(size, row_phases), _phase_taps(size, column_phases)
    phases, height, width = len(row_phases) * len(column_phases), rows.shape[1], columns.shape[1]
    taps = np.einsum("adt,beu->deabtu", rows, columns).reshape(height * width * phases, size * size)
    combined = tf.reshape(_combine_taps(kernel, taps), (height, width, phases, channels, filters))
    combined = tf.transpose(tf.cast(combined, images.dtype), (0, 1, 3, 2, 4))
    return tf.nn.conv2d(images, tf.reshape(combined, (height, width, channels, phases * filters)), 1, "SAME")


def _phase_taps(size: int, phases: tuple[int, ...]) -> np.ndarray:
    """Along one axis: 1 where tap t of the large kernel falls on tap d of the small one, shape (phases, d, t).

    Output 2m + phase reads the up-sampled image at 2m + phase - before + t, which is the small image's pixel
    m + floor((phase - before + t) / 2).
    """
    before = (size - 1) // 2
    offsets = (np.array(phases)[:, None] - before + np.arange(size)) // 2
    low, high = offsets.min(), offsets.max()
    count = high - low + 1
    # SAME reads (count - 1) // 2 pixels before: a phase that reads more of them gets a tap of zeros behind. It is
    # needed for single phases of odd kernels only.
    if (count - 1) // 2 != -low:
        count += 1
    return (offsets[:, None, :] - low == np.arange(count)[None, :, None]).astype("float64")


def _block_taps(size: int) -> np.ndarray:
    """Along one axis: tap j of `kernel * ones(2)`, reversed for the transposed convolution, shape (size + 1, size)."""
    sums = np.eye(size + 1, size) + np.eye(size + 1, size, k=-1)
    return sums[::-1]


def _combine_taps(kernel: tf.Tensor, taps: np.ndarray) -> tf.Tensor:
    """Sums the k x k taps of `kernel` as the 0/1 matrix `taps` (n, k * k) says: (n, channels * filters)."""
    size, _, channels, filters = kernel.shape
    return tf.constant(taps, kernel.dtype) @ tf.reshape(kernel, (size * size, channels * filters))


def dynamic_shape(images: tf.Tensor) -> tuple:
    """Batch, height and width: integers where they are known, else scalar tensors."""
    known, actual = images.shape, tf.shape(images)
    return tuple(actual[i] if known[i] is None else known[i] for i in range(3))
