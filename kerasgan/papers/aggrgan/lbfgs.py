"""L-BFGS (Liu & Nocedal 1989) of many independent problems at once, one image each.

All images advance together, so that each evaluation of the network has a full batch; history, line search and end
are each image's own. Steps fulfil the weak Wolfe conditions, found by expansion and bisection (Lewis & Overton 2013).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

HISTORY = 10  # pairs of step and gradient change, as in SciPy
SUFFICIENT, CURVATURE = 1e-4, 0.9  # Wolfe's constants (Nocedal & Wright 2006, 3.1)
EXPANSION = 4  # of a step that is too short; doubling took 47 evaluations for 40 iterations of style transfer, this 44
TRIALS = 20  # evaluations of one line search, as in SciPy

# Points (n, d), and whatever else the problems are made of, to values (n,) and gradients (n, d), all float64.
Function = Callable[..., tuple[tf.Tensor, tf.Tensor]]


class State(NamedTuple):
    """Where n problems of d unknowns stand, float64; the history has its latest pair first."""

    point: tf.Tensor  # (n, d)
    value: tf.Tensor  # (n,)
    gradient: tf.Tensor  # (n, d)
    steps: tf.Tensor  # (HISTORY, n, d)
    changes: tf.Tensor  # (HISTORY, n, d), of the gradient
    inverses: tf.Tensor  # (HISTORY, n), 1 / (step . change); 0 where there is no pair
    active: tf.Tensor  # bool (n,), not yet at the end of what floating point can tell


class Minimiser:
    """Minimises one function of many problems after another; its graph is traced once for problems of one shape."""

    def __init__(self, function: Function):
        """`function`: value and gradient of each problem, which must not depend on the other problems."""
        self.function = function
        self._advance = tf.function(lambda state, given: _advance(lambda points: function(points, *given), state))

    def __call__(
        self,
        start: np.ndarray,
        iterations: int,
        given: Sequence = (),
        progress: Callable[[np.ndarray], None] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The points (n, d) found from `start` (n, d), and the values (iterations + 1, n) on the way.

        A problem ends early where not even a step along the gradient lowers its value; its curve goes on level.

        Args:
            start: (n, d).
            iterations: of each problem.
            given: tensors, or structures of them, that the function gets after the points.
            progress: called after each iteration with the values (n,).
        """
        state = _initial(*self.function(tf.constant(start, tf.float64), *given), tf.constant(start, tf.float64))
        curve = [state.value.numpy()]
        for _ in range(iterations):
            if bool(tf.reduce_any(state.active)):
                state = self._advance(state, tuple(given))
            curve.append(state.value.numpy())
            if progress is not None:
                progress(curve[-1])
        return state.point.numpy(), np.stack(curve)


def _initial(value: tf.Tensor, gradient: tf.Tensor, start: tf.Tensor) -> State:
    pairs = tf.zeros((HISTORY, *start.shape), tf.float64)
    return State(start, value, gradient, pairs, pairs, pairs[:, :, 0], tf.ones(start.shape[0], tf.bool))


def _advance(function: Function, state: State) -> State:
    """One iteration of every active problem."""
    direction = _direction(state)
    size, value, gradient = _line_search(function, state, direction)
    step, change = size[:, None] * direction, gradient - state.gradient
    product = _dot(step, change)
    # As SciPy, no pair without curvature: the next direction would not descend.
    valid = product > np.finfo(np.float64).eps * _dot(change, change)
    inverse = tf.where(valid, tf.math.reciprocal_no_nan(product), 0.0)
    moved, informed = size > 0, tf.reduce_any(state.inverses > 0, axis=0)
    inverses = tf.where(valid, _pushed(inverse, state.inverses), state.inverses)
    return State(
        state.point + step,
        value,
        gradient,
        tf.where(valid[:, None], _pushed(step, state.steps), state.steps),
        tf.where(valid[:, None], _pushed(change, state.changes), state.changes),
        tf.where(moved, inverses, 0.0),  # a search that found nothing is tried once more, along the gradient
        state.active & (moved | informed),
    )


def _direction(state: State) -> tf.Tensor:
    """The two-loop recursion (Nocedal & Wright 2006, algorithm 7.4); without history, of length 1."""
    direction, factors = -state.gradient, []
    for step, change, inverse in _pairs(state):
        factors.append(inverse * _dot(step, direction))
        direction -= factors[-1][:, None] * change
    direction *= _scale(state)[:, None]
    for (step, change, inverse), factor in reversed(list(zip(_pairs(state), factors, strict=True))):
        direction += (factor - inverse * _dot(change, direction))[:, None] * step
    return direction


def _pairs(state: State) -> list[tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
    return [(state.steps[k], state.changes[k], state.inverses[k]) for k in range(HISTORY)]


def _scale(state: State) -> tf.Tensor:
    """First guess of the inverse Hessian: (step . change) / (change . change) of the latest pair."""
    latest = tf.math.reciprocal_no_nan(state.inverses[0] * _dot(state.changes[0], state.changes[0]))
    return tf.where(state.inverses[0] > 0, latest, tf.math.reciprocal_no_nan(tf.norm(state.gradient, axis=-1)))


def _line_search(function: Function, state: State, direction: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Step sizes (n,) with the values (n,) and gradients (n, d) there; 0 where no step lowers the value enough.

    After `TRIALS` evaluations the longest step of enough decrease is taken, be the slope there still steep.
    """
    slope = _dot(state.gradient, direction)
    none = tf.zeros_like(slope)

    def trial(count, searching, size, low, high, value, gradient):
        new_value, new_gradient = function(state.point + size[:, None] * direction)
        enough = searching & (new_value <= state.value + SUFFICIENT * size * slope)
        steep = _dot(new_gradient, direction) < CURVATURE * slope
        low = tf.where(enough, size, low)
        high = tf.where(searching & ~enough, size, high)
        value = tf.where(enough, new_value, value)
        gradient = tf.where(enough[:, None], new_gradient, gradient)
        searching &= ~enough | steep
        size = tf.where(tf.math.is_inf(high), EXPANSION * size, (low + high) / 2)
        return count + 1, searching, size, low, high, value, gradient

    start = (0, state.active & (slope < 0), none + 1, none, none + np.inf, state.value, state.gradient)
    found = tf.while_loop(lambda count, searching, *_: (count < TRIALS) & tf.reduce_any(searching), trial, start)
    return found[3], found[5], found[6]


def _pushed(latest: tf.Tensor, history: tf.Tensor) -> tf.Tensor:
    return tf.concat([latest[None], history[:-1]], axis=0)


def _dot(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(a * b, axis=-1)
