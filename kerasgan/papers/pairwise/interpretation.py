"""What the classifier looks at: Grad-CAM of every stream (Selvaraju et al. 2017, "Grad-CAM", eqs. 1 and 2)."""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from kerasgan.errors import UserError


def gradcam(model: keras.Model, images: Mapping[str, np.ndarray], class_index: int = 1) -> dict[str, np.ndarray]:
    """Where each modality speaks for a class: {modality: (n, s, s) float32 in [0, 1]}.

    For stream k, with F_k (n, h, w, c) the activation of its last convolution and y the class's logit:

        alpha_k = mean over pixels of dy / dF_k,    map_k = ReLU(sum over channels of alpha_k F_k)

    enlarged to the images bilinearly. A slice's maps are divided by the largest value in all of them, so streams can
    be compared with one another, slices cannot; where nothing speaks for the class all are 0.

    Args:
        model: of `streams.classifier`, also one loaded from a file.
        images: {modality: (n, s, s, 1) in [-1, 1]}, of every modality of the model.
        class_index: 0 or 1, whose logit is explained.

    Raises UserError where a modality is missing or the class does not exist.
    """
    modalities, classes = list(model.input), model.output["logits"].shape[-1]
    if missing := set(modalities) - set(images):
        raise UserError(f"the classifier expects images of {', '.join(modalities)}; missing: {', '.join(missing)}")
    if not 0 <= class_index < classes:
        raise UserError(f"class_index is a class from 0 to {classes - 1}, not {class_index}")
    inputs = {name: tf.convert_to_tensor(images[name], tf.float32) for name in modalities}
    size = inputs[modalities[0]].shape[1:3]
    coarse = tf.stack(class_maps(model, inputs, class_index), axis=-1)
    maps = tf.image.resize(coarse, size, "bilinear")
    highest = tf.reduce_max(maps, axis=(1, 2, 3), keepdims=True)
    maps = tf.math.divide_no_nan(maps, highest).numpy()
    return {name: maps[..., k] for k, name in enumerate(modalities)}


def class_maps(model: keras.Model, inputs: Mapping[str, tf.Tensor], class_index: int) -> list[tf.Tensor]:
    """ReLU(sum over channels of alpha_k F_k) for each stream, (n, h, w) float32, before it is enlarged."""
    maps = keras.tree.flatten(model.get_layer("attention").input)
    explained = keras.Model(model.input, {"maps": maps, "logits": model.output["logits"]})
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = explained(dict(inputs), training=False)
        logit = outputs["logits"][:, class_index]
    features = [tf.cast(each, tf.float32) for each in outputs["maps"]]
    gradients = [tf.cast(each, tf.float32) for each in tape.gradient(logit, outputs["maps"])]
    weights = [tf.reduce_mean(each, axis=(1, 2), keepdims=True) for each in gradients]
    return [tf.nn.relu(tf.reduce_sum(alpha * f, axis=-1)) for alpha, f in zip(weights, features, strict=True)]
