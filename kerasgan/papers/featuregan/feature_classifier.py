"""Classifiers of features: the network of Mehra et al., sections 3.3 and 4.2.4, and the linear baseline before it.

Class 1 is the positive one; features are (n, h, w, c) of any block.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from keras import Input, Model, layers
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from kerasgan.errors import UserError
from kerasgan.gan.model import Logs
from kerasgan.gan.normalisation import FusedBatchNormalization
from kerasgan.metrics.classification import Confusion

KERNEL = 3  # assumed, the U-Net's
BLOCKS = 2  # stated, 4.2.4, as are pooling, two dense layers and where dropout stands
SMALLEST = 2**BLOCKS  # pixels, which the poolings leave 1 of
MOST_STEPS = 5000  # of the logistic regression's solver


def classifier(shape: Sequence[int], *, filters: Sequence[int], dense: int, dropout: float, momentum: float) -> Model:
    """Features (n, *shape) to float32 logits (n, 1), whose sigmoid is the probability of class 1.

    Two blocks of 3x3 convolution, batch normalisation and 2x2 max-pooling with ReLU; dropout, a dense layer with ReLU,
    dropout, and the last dense layer. Of 15x15x1024 with filters F1, F2 and `dense` D it has
    9 (1024 F1 + F1 F2) + 2 (F1 + F2) + 9 F2 D + 2 D + 1 numbers to train.

    Args:
        shape: height, width (at least 4 pixels) and channels.
        filters: of the two convolutions.
        dense: numbers of the first dense layer.
        dropout: share dropped before and after it.
        momentum: of batch normalisation.

    Raises:
        UserError: features too small for two poolings.
    """
    height, width, _ = shape
    if min(height, width) < SMALLEST:
        raise UserError(
            f"the classifier halves features twice and needs at least {SMALLEST}x{SMALLEST} pixels, not "
            f"{height}x{width}; extract them from larger slices or a higher block"
        )
    x = feature = Input(tuple(shape), name="feature")
    for level, count in enumerate(filters, 1):
        # Without bias: batch normalisation would subtract it, and adds one of its own.
        x = layers.Conv2D(count, KERNEL, padding="same", use_bias=False, name=f"conv{level}")(x)
        x = FusedBatchNormalization(momentum, name=f"norm{level}")(x)
        # ReLU behind the pooling has a quarter of the pixels; the maximum of the positive parts is the same.
        x = layers.MaxPooling2D(name=f"pool{level}")(x)
        x = layers.ReLU(name=f"relu{level}")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dropout(dropout, name="dropout1")(x)
    x = layers.Dense(dense, activation="relu", name="dense1")(x)
    x = layers.Dropout(dropout, name="dropout2")(x)
    return Model(feature, layers.Dense(1, dtype="float32", name="logit")(x), name="feature_classifier")


def objective(network: Model, batch: Mapping[str, tf.Tensor]) -> Logs:
    """Binary cross-entropy and accuracy of {"feature": (b, h, w, c), "label": (b,) 0 or 1}, for a `SupervisedModel`."""
    label = tf.cast(batch["label"], tf.float32)
    logits = network(batch["feature"], training=True)[:, 0]
    right = tf.equal(logits > 0, label > 0)
    return {
        "loss": tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(label, logits)),
        "accuracy": tf.reduce_mean(tf.cast(right, tf.float32)),
    }


def probability(network: Model, features: tf.Tensor) -> tf.Tensor:
    """The probability of class 1 of each of a batch of features (b, h, w, c): float32 (b,) in [0, 1]."""
    return tf.sigmoid(network(features, training=False)[:, 0])


def downsampled(features: np.ndarray, grid: int) -> np.ndarray:
    """The mean of each of grid x grid blocks of features (n, h, w, c), side by side: float32 (n, grid * grid * c).

    Where `grid` does not divide a side, its blocks differ by one pixel. More blocks than pixels are a UserError.
    """
    _, height, width, _ = features.shape
    if not 1 <= grid <= min(height, width):
        raise UserError(
            f"features of {height}x{width} pixels have no mean over {grid}x{grid} blocks; expected 1 to "
            f"{min(height, width)} a side"
        )
    means = np.asarray(features, np.float32)
    for axis, side in ((1, height), (2, width)):
        edges = np.arange(grid + 1) * side // grid
        counts = np.diff(edges).astype(np.float32).reshape([-1 if own == axis else 1 for own in range(4)])
        means = np.add.reduceat(means, edges[:-1], axis=axis) / counts
    return means.reshape(len(means), -1)


def linear(values: np.ndarray, truth: np.ndarray, inverse_penalty: float) -> Pipeline:
    """Logistic regression on (n, f) of classes 0 and 1, (n,), each column scaled to mean 0 and deviation 1.

    `inverse_penalty` is scikit-learn's C, the weight of the likelihood against the squared coefficients. Classes weigh
    as often as they come, as in the paper, whose baseline always answers the larger one. One class only is a UserError.
    """
    if len(found := np.unique(truth)) < 2:
        raise UserError(
            f"all {len(truth)} training features are of class {found[0]}; both classes are needed: add patients"
        )
    return make_pipeline(StandardScaler(), LogisticRegression(C=inverse_penalty, max_iter=MOST_STEPS)).fit(
        values, truth
    )


def accuracies(truth: np.ndarray, decision: np.ndarray) -> dict[str, float]:
    """Shares of right decisions, 0 to 1, as in Table 3: "class0", "class1", "total"; and "balanced", chance 0.5.

    `truth` and `decision` hold 0 or 1. A class that is absent has NaN, and "balanced" with it.
    """
    confusion = Confusion.of(truth, decision)
    return {
        "class0": float(confusion.specificity),
        "class1": float(confusion.sensitivity),
        "total": float(confusion.accuracy),
        "balanced": float(confusion.balanced_accuracy),
    }
