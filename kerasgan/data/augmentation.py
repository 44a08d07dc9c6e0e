"""Random transforms of training slices, in the tf.data graph, the same for every image of a slice.

Stateless: a seed decides the transform, so a run that is resumed repeats it.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

Example = dict[str, tf.Tensor]


def moving(names: Sequence[str], flip: bool, shift: float) -> Callable[[Example, tf.Tensor], Example] | None:
    """`augment(example, seed)` that moves the stored channels `names` of a slice together; None if nothing moves.

    What comes in at the border is 0: background, and no tumour.
    """
    if not (flip or shift):
        return None
    background = tf.zeros([len(names)], tf.int32)

    def augment(example: Example, seed: tf.Tensor) -> Example:
        channels = tf.concat([tf.cast(example[name], tf.int32) for name in names], axis=-1)
        moved = flip_and_shift(channels, seed, flip, shift, background)
        return example | {name: moved[..., i : i + 1] for i, name in enumerate(names)}

    return augment


def flip_and_shift(images: tf.Tensor, seed: tf.Tensor, flip: bool, shift: float, background: tf.Tensor) -> tf.Tensor:
    """One slice's channels (size, size, c), flipped left-right with probability 1/2 and shifted.

    The shift is a whole number of pixels, uniform up to `shift` (a fraction) of height and of width, each direction;
    what comes in at the border is `background` (c). Ge 2020, III-A1: horizontal flips and shifts up to 10 %.
    """
    if flip:
        heads = tf.random.stateless_uniform([], seed, 0, 2, tf.int32) == 1
        images = tf.cond(heads, lambda: tf.reverse(images, axis=[1]), lambda: images)
    reach = round(shift * images.shape[0])
    if reach:
        size = images.shape[0]
        offset = tf.random.stateless_uniform([2], seed + 1, 0, 2 * reach + 1, tf.int32)
        padded = tf.pad(images - background, [[reach, reach], [reach, reach], [0, 0]]) + background
        images = tf.slice(padded, [offset[0], offset[1], 0], [size, size, images.shape[2]])
    return images
