"""The training step of the pairwise GAN: kerasgan, Keras alone, PyTorch, and the share of the machine that it uses."""

from functools import partial

import keras
import numpy as np

from benchmarks import plain_keras
from benchmarks.operations import matrix_products, multiplications
from benchmarks.timing import Row, in_turns, rate
from benchmarks.ways import (
    CHANNELS_LAST,
    KERAS,
    OURS,
    PRECISIONS,
    Batch,
    Step,
    compared,
    graph_step,
    tensors,
    torch_layouts,
)
from kerasgan.experiment.devices import numerics
from kerasgan.papers import settings_of
from kerasgan.papers.pairwise import gan
from kerasgan.papers.pairwise.settings import PairwiseSettings

NETWORKS = "kerasgan's step, UpSampling2D + Conv2D"
EXPECTED = {
    "fp32": {KERAS: "at least 1.25", CHANNELS_LAST: "at least 1.7"},
    "bf16": {CHANNELS_LAST: "at least 1.3"},
}


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
    table = compared({way: seconds[way] for way in steps}, batch_size, "pairs/s", label, EXPECTED[label])
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
    data = tensors(batch)
    return {what: graph_step(model.train_step, data) for what, model in models.items()}


def torch_steps(settings: PairwiseSettings, batch: Batch) -> dict[str, Step]:
    """A training step of PyTorch per layout; none without the extra `bench`."""
    if not (layouts := torch_layouts()):
        return {}
    from benchmarks.pytorch import PairwiseGAN

    bfloat16 = settings.training.precision == "mixed_bfloat16"
    models = {what: PairwiseGAN(settings, layout, bfloat16) for what, layout in layouts.items()}
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
