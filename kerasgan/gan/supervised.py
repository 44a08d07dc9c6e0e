"""Networks that learn from targets (classifiers, autoencoders), trained by the same `fit` as the GANs."""

from collections.abc import Callable, Mapping, Sequence

import keras
import tensorflow as tf

from kerasgan.gan.model import AdversarialModel, Logs

Objective = Callable[[keras.Model, Mapping[str, tf.Tensor]], Mapping[str, tf.Tensor]]


class SupervisedModel(AdversarialModel):
    """One network that minimises an objective: a game with a single player.

    So it shares the optimizers that are built before they are restored, the replicas and the checkpoints of the GANs.

    Args:
        network: what learns.
        objective: `objective(network, batch)` calls the network with `training=True` and returns scalars by name; the
            one named "loss" is minimised, all are reported.
        reported: the names.
    """

    def __init__(self, network: keras.Model, objective: Objective, reported: Sequence[str] = ("loss",)):
        super().__init__({"network": [network]}, reported)
        self.network, self.objective = network, objective

    def train_step(self, batch: Mapping[str, tf.Tensor]) -> Logs:
        with tf.GradientTape() as tape:
            values = self.objective(self.network, batch)
        self.apply("network", self.gradients("network", values["loss"], tape))
        return self.report(values)
