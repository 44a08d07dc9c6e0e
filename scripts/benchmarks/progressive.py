"""The PGGAN's training step at each resolution, in mid-fade: kerasgan, PyTorch; a change of stage; memory."""

import multiprocessing
import re
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from benchmarks.timing import Row, in_turns
from benchmarks.ways import OURS, PRECISIONS, Step, compared, torch_layouts
from kerasgan.experiment.devices import numerics
from kerasgan.gan import checkpoint
from kerasgan.papers import settings_of
from kerasgan.papers.pggan.networks import Architecture, critic, generator
from kerasgan.papers.pggan.progressive import ProgressiveGAN
from kerasgan.papers.pggan.settings import START, PgganSettings
from kerasgan.startup import load_tensorflow

ROUNDS = 4
QUICK = ["data.size=16", "data.frame=null", "network.scale=0.02", "network.latent=8", "network.class_from=8"]


def rows(quick: bool) -> list[Row]:
    """Steps of the generator in a second, with its critic's, for each resolution, way and precision."""
    return [row for precision in PRECISIONS for row in _rows(precision, quick)]


def _rows(precision: str, quick: bool) -> list[Row]:
    settings = settings_of("pggan", overrides=[f"pggan.precision={precision}", *(QUICK if quick else [])])
    found = []
    sides = settings.resolutions[1:2] if quick else settings.resolutions
    with numerics(settings.pggan):  # the options with which kerasgan trains
        for side in sides:
            batch = random_batch(side, settings.pggan.batch_size * settings.pggan.critic_steps)
            if side == sides[-1]:
                lost, step = stage_change(side, settings, *batch)
            else:
                step = _step(our_model(side, settings), *batch)
            seconds = in_turns({OURS: step} | torch_steps(side, settings, *batch), 1 if quick else ROUNDS)
            found += compared(seconds, 1, "steps/s", f"{side}x{side}, {PRECISIONS[precision]}")
        found.append(Row(f"from {side // 2}x{side // 2} to {side}x{side}, {PRECISIONS[precision]}", lost, "s"))
    measured = here if quick else alone
    found += [
        Row(
            f"{what}, memory at {side}x{side}, {PRECISIONS[precision]}",
            measured(peak_memory, what, side, settings),
            "GB",
        )
        for what in seconds
    ]
    return found


def here(call: Callable[..., float], *arguments: object) -> float:
    """What a call returns."""
    return call(*arguments)


def alone(call: Callable[..., float], *arguments: object) -> float:
    """What a call returns in a fresh process, whose memory is its own."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, fresh, initializer=load_tensorflow) as process:
        return process.submit(call, *arguments).result()


def peak_memory(what: str, side: int, settings: PgganSettings) -> float:
    """GB that this process has had at most after two training steps, libraries included (Linux)."""
    batch = random_batch(side, settings.pggan.batch_size * settings.pggan.critic_steps)
    with numerics(settings.pggan):
        ours = what == OURS
        step = _step(our_model(side, settings), *batch) if ours else torch_step(what, side, settings, *batch)
        for _ in range(2):
            step()
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) * 1024 / 1e9


def architecture(settings: PgganSettings) -> Architecture:
    """The networks' numbers."""
    return Architecture(classes=len(settings.study.classes), **settings.network.model_dump())


def random_batch(side: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (count, side, side, 1) of noise in [-1, 1] and classes (count,)."""
    images = np.random.default_rng(1).uniform(-1, 1, (count, side, side, 1)).astype("float32")
    return images, np.arange(count, dtype=np.int32) % 2


def our_model(side: int, settings: PgganSettings) -> ProgressiveGAN:
    """The compiled model of a stage, half-way through a fade of a million steps."""
    own, training = architecture(settings), settings.pggan
    fade = 0 if side == START else 1_000_000
    model = ProgressiveGAN(
        generator(side, own),
        critic(side, own),
        latent_size=own.latent,
        fade_steps=fade,
        seed=training.seed,
        **{
            name: getattr(training, name)
            for name in ("critic_steps", "flip_every", "flip_by", "penalty_weight", "drift", "average")
        },
    )
    adam = partial(keras.optimizers.Adam, training.learning_rate, training.beta_1, training.beta_2, training.epsilon)
    model.compile({player: adam() for player in model.players}, training.jit)
    model.step.assign(fade // 2)
    return model


def _step(model: ProgressiveGAN, images: np.ndarray, labels: np.ndarray) -> Step:
    """A training step as `fit` runs it: one graph."""
    train_step = tf.function(model.train_step, jit_compile=model.jit_compile)
    batch = {"image": tf.constant(images), "class": tf.constant(labels)}
    return lambda: [value.numpy() for value in train_step(batch).values()]


def stage_change(side: int, settings: PgganSettings, images: np.ndarray, labels: np.ndarray) -> tuple[float, Step]:
    """Seconds from the end of the stage before to the end of this one's first step (networks, weights, graph); a step.

    The model of that step is our model of `side`.
    """
    own, saved = architecture(settings), checkpoint.values(our_model(side // 2, settings).state())
    begun = time.perf_counter()
    model = our_model(side, settings)
    model.inherit(saved, generator(side // 2, own), critic(side // 2, own))
    step = _step(model, images, labels)
    step()
    return time.perf_counter() - begun, step


def torch_steps(side: int, settings: PgganSettings, images: np.ndarray, labels: np.ndarray) -> dict[str, Step]:
    """A training step of PyTorch per layout; none without the extra `bench`."""
    return {what: torch_step(what, side, settings, images, labels) for what in torch_layouts()}


def torch_step(what: str, side: int, settings: PgganSettings, images: np.ndarray, labels: np.ndarray) -> Step:
    """PyTorch's training step in a layout of `torch_layouts`."""
    from benchmarks.pytorch_progressive import Training

    training = Training(side, architecture(settings), settings.pggan, torch_layouts()[what])
    return partial(training.train_step, *training.prepare(images, labels))
