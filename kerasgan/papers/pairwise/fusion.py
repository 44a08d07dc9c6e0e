"""Layers of the four-stream classifier of Ge 2020 (II-D1): attention-weighted fusion and bilinear features."""

import math

import keras
import tensorflow as tf
from keras import ops


@keras.saving.register_keras_serializable(package="kerasgan")
class AttentionFusion(keras.layers.Layer):
    """The weighted sum of one feature map per modality, eq. (7):

        a_k = exp(w_k^T f_k) / sum_i exp(w_i^T f_i),    F = sum_k a_k F_k,    f_k = vec(F_k)

    Takes a list of M maps (n, h, w, c); returns F (n, h, w, c) in the compute precision and a (n, M) in float32, whose
    rows add up to 1. The weights are `attention` (M, h w c), row k being w_k in row-major order of F_k: the paper
    scans columns, which only names the same numbers in another order. They start at 0 (assumed), so that a = 1/M and
    no modality is favoured. Logits, softmax and sum are computed in float32 in mixed precision too.

    Raises ValueError where the maps differ in shape or their size is unknown.
    """

    def build(self, input_shape):
        sizes = {tuple(shape[1:]) for shape in input_shape}
        if len(sizes) != 1 or None in (size := sizes.pop()):
            raise ValueError(f"AttentionFusion expects maps of one known shape (n, h, w, c), got {input_shape}")
        self.attention = self.add_weight(
            name="attention", shape=(len(input_shape), math.prod(size)), initializer="zeros", autocast=False
        )

    def call(self, inputs):
        maps = [ops.cast(features, "float32") for features in inputs]
        weights = ops.split(self.attention, len(maps))
        # Products and sums instead of a matrix product, which GPUs may round to TensorFloat-32.
        logits = [
            ops.sum(ops.reshape(features, (-1, weight.shape[1])) * weight, axis=-1)
            for features, weight in zip(maps, weights, strict=True)
        ]
        # TensorFlow's softmax: Keras's warns of a single modality.
        attention = tf.nn.softmax(ops.stack(logits, axis=-1))
        shares = [attention[:, k, None, None, None] for k in range(len(maps))]
        fused = sum(share * features for share, features in zip(shares, maps, strict=True))
        return ops.cast(fused, self.compute_dtype), attention


@keras.saving.register_keras_serializable(package="kerasgan")
class Bilinear(keras.layers.Layer):
    """How every two channels of a feature map go together, II-D1: H = F'^T F' / (h w), F' being F as (h w, c).

    Takes (n, h, w, c) with known h, w and c; returns H, symmetric and positive semi-definite, as float32 (n, c c). The
    division is assumed: it keeps the features' scale apart from the map's size. With `signed_sqrt`, sign(H) sqrt|H|
    (Lin et al. 2015, "Bilinear CNN models"), which the paper does not mention; its gradient at 0 is taken as 0.
    """

    def __init__(self, signed_sqrt: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.signed_sqrt = signed_sqrt
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def call(self, inputs):
        _, height, width, channels = inputs.shape
        # In float32 although the inputs may be bfloat16: the sums have hundreds of terms.
        features = ops.reshape(ops.cast(inputs, "float32"), (-1, height * width, channels))
        products = ops.matmul(ops.transpose(features, (0, 2, 1)), features) / (height * width)
        if self.signed_sqrt:
            products = signed_sqrt(products)
        return ops.reshape(products, (-1, channels * channels))

    def get_config(self):
        """The constructor's arguments, serialised."""
        return super().get_config() | {"signed_sqrt": self.signed_sqrt}


def signed_sqrt(x):
    """sign(x) sqrt|x| elementwise, with gradient 0 at 0, where the true one is infinite."""
    nonzero = ops.not_equal(x, 0)
    # The inner choice keeps the square root's infinite gradient, times 0, from becoming NaN.
    return ops.where(nonzero, ops.sign(x) * ops.sqrt(ops.where(nonzero, ops.abs(x), 1.0)), 0.0)
