"""The training step of the pairwise GAN: kerasgan, Keras alone, PyTorch, and the share of the machine that it uses."""

from collections.abc import Callable
from functools import partial

import keras
import numpy as np
import tensorflow as tf

from benchmarks import plain_keras
from benchmarks.machine import has_torch
from benchmarks.operations import matrix_products, multiplications
from benchmarks.timing import Row, in_turns, rate, times_as_fast
from kerasgan.experiment.devices import numerics
from kerasgan.papers import settings_of
from kerasgan.papers.pairwise import gan
from kerasgan.papers.pairwise.settings import PairwiseSettings
from kerasgan.threads import usable_cores

PRECISIONS = {"float32": "fp32", "mixed_bfloat16": "bf16"}
OURS, NETWORKS, KERAS = "kerasgan", "kerasgan's step, UpSampling2D + Conv2D", "Keras alone"
TORCH = {"PyTorch, channels last": "channels_last", "PyTorch, default layout": "contiguous_format"}
EXPECTED = {
    (KERAS, "fp32"): "at least 1.25",
    ("PyTorch, channels last", "fp32"): "at least 1.7",
    ("PyTorch, channels last", "bf16"): "at least 1.3",
}

Batch = dict[str, np.ndarray]
Step = Callable[[], None]


def rows(quick: bool) -> list[Row]:
    """Pairs of slices in a second for each way and precision, then what the operation count says of ours."""
    return [row for precision in PRECISIONS for row in _rows(precision, quick)]


def _rows(precision: str, quick: bool) -> list[Row]:
    label = PRECISIONS[precision]
    batch_size, rounds = (2, 1) if quick else (16, 12)
    overrides = [f"training.precision={precision}", *(["data.size=16"] if quick else [])]
    settings = settings_of("pairwise", overrides=overrides)
    batch = random_batch(batch_size, settings.data.size)
    products = matrix_products(precision.removeprefix("mixed_"), quick)
    with numerics(settings.training):  # the options with which kerasgan trains
        model = gan.build(("t1", "t1e"), settings)
        steps = keras_steps(model, settings, batch) | torch_steps(settings, batch)
        seconds = in_turns(steps | {size: call for size, (_, call) in products.items()}, rounds)
    table = [
        Row(
            f"{what}, {label}",
            rate(batch_size, seconds[what]),
            "pairs/s",
            None if what == OURS else times_as_fast(seconds[OURS], seconds[what]),
            EXPECTED.get((what, label), ""),
        )
        for what in steps
    ]
    # What the machine can do at best, and how near to it the step comes.
    rates = {size: rate(operations, seconds[size]) for size, (operations, _) in products.items()}
    best = max(rates, key=rates.get)
    least = batch_size * minimal_operations(model.generator_m, model.discriminator_m)
    shares = (least / seconds[OURS]) / (products[best][0] / seconds[best])
    return [
        *table,
        Row(f"product of {best} x {best} matrices, {label}", rates[best] / 1e9, "GFLOP/s"),
        Row(f"share of that in kerasgan's {least / 1e9:.3g} GFLOP, {label}", 100 * float(np.median(shares)), "%"),
    ]


def random_batch(batch_size: int, size: int) -> Batch:
    """A batch of noise as `PairwiseGAN` takes it; a tenth of the pixels is tumour."""
    random = np.random.default_rng(1)
    shape = (batch_size, size, size, 1)
    m, n = random.uniform(-1, 1, (2, *shape)).astype("float32")
    return {"m": m, "n": n, "tumour": (random.random(shape) < 0.1).astype("float32")}


def keras_steps(model: gan.PairwiseGAN, settings: PairwiseSettings, batch: Batch) -> dict[str, Step]:
    """A training step of each way of writing it with Keras, as `fit` runs it: one graph."""
    models = {OURS: model, NETWORKS: plain_keras.build_networks_only(settings), KERAS: plain_keras.build(settings)}
    tensors = {name: tf.constant(images) for name, images in batch.items()}
    return {what: _keras_step(model, tensors) for what, model in models.items()}


def _keras_step(model: keras.Model, batch: dict[str, tf.Tensor]) -> Step:
    train_step = tf.function(model.train_step)

    def step() -> None:
        for value in train_step(batch).values():
            value.numpy()

    return step


def torch_steps(settings: PairwiseSettings, batch: Batch) -> dict[str, Step]:
    """A training step of PyTorch per layout; none without the extra `bench`."""
    if not has_torch():
        return {}
    import torch  # an extra

    from benchmarks.pytorch import PairwiseGAN

    torch.set_num_threads(usable_cores())
    bfloat16 = settings.training.precision == "mixed_bfloat16"
    models = {what: PairwiseGAN(settings, getattr(torch, layout), bfloat16) for what, layout in TORCH.items()}
    return {what: partial(model.train_step, model.prepare(batch)) for what, model in models.items()}


def minimal_operations(generator: keras.Model, discriminator: keras.Model) -> int:
    """Multiplications and additions that a pair of slices needs in Algorithm 1, both directions.

    Generator: forward, gradients of kernels and of inputs, but not of the image. Discriminator: forward for real and
    fake, from both the gradients of kernels and inputs for its own loss, and from fake down to the image the gradient
    of the generators' loss.
    """
    generator, discriminator = multiplications(generator), multiplications(discriminator)
    each = 3 * sum(generator) - generator[0] + 7 * sum(discriminator) - 2 * discriminator[0]
    return 2 * 2 * each
