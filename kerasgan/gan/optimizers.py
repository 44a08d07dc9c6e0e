"""Optimisers that Keras 3 changed, with the rules that papers written with Keras 2 were trained by."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerasgan")
class Keras2Adagrad(keras.optimizers.Optimizer):
    """Adagrad (Duchi et al. 2011) exactly as in Keras 2.2 and 2.3.

        a <- a + g^2                                   a starts at 0
        w <- w - learning_rate g / (sqrt(a) + epsilon)

    Keras 3 starts `a` at 0.1 and divides by sqrt(a + epsilon). With gradients well below sqrt(0.1) its first steps
    are far shorter: a gradient of 1e-3 moves a weight by 0.003 learning rates, here by 1.

    `learning_rate` is a float or a schedule, 0.01 as in Keras 2; `epsilon` is Keras 2's 1e-7. Further arguments are
    those of `keras.optimizers.Optimizer`.
    """

    def __init__(self, learning_rate=0.01, epsilon: float = 1e-7, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.epsilon = epsilon

    def build(self, variables):
        """Creates one accumulator of zeros for each of `variables`."""
        if self.built:
            return
        super().build(variables)
        self._accumulators = self.add_optimizer_variables(variables, "accumulator", initializer="zeros")

    def update_step(self, gradient, variable, learning_rate):
        """One step of one variable."""
        learning_rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        accumulator = self._accumulators[self._get_variable_index(variable)]
        self.assign_add(accumulator, ops.square(gradient))
        self.assign_sub(variable, learning_rate * gradient / (ops.sqrt(accumulator) + self.epsilon))

    def get_config(self):
        """The constructor's arguments, serialised."""
        return super().get_config() | {"epsilon": self.epsilon}
