"""A training run of a GAN from noise: what it reports on the way and what it leaves behind, whichever the paper."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from kerasgan.data import imagesets, pipeline, records
from kerasgan.data.prepare import Prepared, PreparedVisit
from kerasgan.errors import UserError
from kerasgan.evaluation import thumbnails
from kerasgan.files import write_text, written_aside
from kerasgan.gan import checkpoint, sampling
from kerasgan.gan.callbacks import Every, History, Progress
from kerasgan.gan.checkpoint import Position
from kerasgan.gan.model import Game, LatentGAN
from kerasgan.gan.settings import LatentTraining
from kerasgan.papers.task import OneStage
from kerasgan.report.figures import GREY
from kerasgan.report.mosaics import image_sheet, write_animation, write_mosaic
from kerasgan.report.tables import markdown
from kerasgan.settings import Section

SHOWN, COLUMNS = 64, 8  # images of fixed noise in a sample picture
FRAME = 4  # a frame of the animation shows 4 x 4 images
STRIPS, STEPS = 4, 8  # rows of the picture of interpolation, and images in each
COMPARED = 500  # real images that curves compare with, at most


class LatentTask(OneStage, ABC):
    """Trains a generator from noise on slices; a paper says on which, with which networks, and what for.

    A paper's class has `model`, its name, `target`, `run_name`, what is abstract here, and its own `__init__`, which
    ends in this one's.
    """

    model: ClassVar[str]
    losses: ClassVar[tuple[str, ...]] = ("generator_loss", "critic_loss")
    panels: ClassVar = {
        "losses": losses,
        **thumbnails.PANELS,
    }
    pictures: ClassVar = {
        "Synthetic (left) and real images": "figure.png",
        "From one noise vector to another": "interpolation.png",
        "Samples during training": "training.gif",
    }
    critic_steps: int = 1

    def __init__(
        self,
        settings: Section,
        prepared: Prepared,
        target: dict[str, Any],
        size: int,
        learnt: dict[str, list[PreparedVisit]],
        compared: dict[str, list[PreparedVisit]],
        compared_in_words: str,
    ):
        """Learn slices of `size` pixels of the visits `learnt`, by sequence; curves compare with those of `compared`.

        UserError if there are fewer images than a step takes, or fewer than two patients to compare with.
        """
        self.settings, self.prepared, self.target_, self.size = settings, prepared, target, size
        self.visits, self.compared_in_words = learnt, compared_in_words
        each = [pipeline.count_slices(visits) for visits in learnt.values()]
        # Balanced: a sequence that some patients lack has its images taken more than once.
        self.images = max(each) * len(each)
        taken = self.training.batch_size * self.critic_steps
        if self.images < taken:
            raise UserError(
                f"{prepared.folder} has {self.images} images of {self.title(target)} to learn from, a step takes "
                f"{taken}; add patients, or lower {self.model}.batch_size"
            )
        self.real = self._reference(compared)
        if len(set(self.real.groups)) < 2:
            raise UserError(
                f"{prepared.folder} has {len(set(self.real.groups))} patient for the {compared_in_words} images of "
                f"{self.title(target)}, with which curves compare; expected 2 or more: add patients, or split otherwise"
            )

    def _reference(self, by_sequence: dict[str, list[PreparedVisit]]) -> imagesets.ImageSet:
        """Real images of the run's size, at most COMPARED, drawn by the seed from all sequences alike."""
        rng = np.random.default_rng(self.training.seed)
        found = []
        for name, visits in by_sequence.items():
            # A few visits hold enough: the images of hundreds would fill the memory.
            some = [visits[i] for i in rng.permutation(len(visits))[:COMPARED]]
            enough = np.cumsum([len(visit.slices) for visit in some]) < COMPARED
            images = imagesets.of_visits(self.prepared, some[: int(enough.sum()) + 1], name)
            found.append(images.take(rng.permutation(len(images))[: COMPARED // len(by_sequence)]))
        return imagesets.resized(imagesets.joined(found), self.size)

    @classmethod
    @abstractmethod
    def title(cls, target: dict[str, Any]) -> str:
        """What is trained, in words."""

    @abstractmethod
    def describe(self) -> str:
        """Which images of whom are learnt, in words."""

    @abstractmethod
    def steps_per_epoch(self, replicas: int = 1) -> int:
        """Steps of the generator."""

    @abstractmethod
    def networks(self) -> tuple[keras.Model, keras.Model]:
        """Generator and critic."""

    @abstractmethod
    def game(self) -> Game:
        """What they play for."""

    @abstractmethod
    def optimizer(self) -> keras.optimizers.Optimizer:
        """A player's optimizer."""

    @property
    def training(self) -> LatentTraining:
        return getattr(self.settings, self.model)

    @property
    def latent(self) -> int:
        """Numbers of noise."""
        return self.settings.network.latent

    @property
    def count(self) -> int:
        """Images that the steps of an epoch take in."""
        return self.steps_per_epoch() * self.critic_steps * self.training.batch_size

    def build(self, checkpoints: Path | None = None) -> LatentGAN:
        """The compiled model; call it inside the strategy's scope."""
        keras.utils.set_random_seed(self.training.seed)
        self.gan = self.assemble(*self.networks())
        self.gan.compile({player: self.optimizer() for player in self.gan.players}, self.training.jit)
        return self.gan

    def assemble(self, generator: keras.Model, critic: keras.Model) -> LatentGAN:
        """The model of these networks."""
        return LatentGAN(
            generator,
            critic,
            self.game(),
            latent_size=self.latent,
            critic_steps=self.critic_steps,
            average=self.training.average,
            seed=self.training.seed,
        )

    def batches(self, position: Position, replicas: int = 1) -> tf.data.Dataset:
        """Images (critic steps * batch, size, size, 1) in [-1, 1], another pass over the data after each."""
        taken = self.training.batch_size * self.critic_steps
        passed, skip = divmod(position.epoch * self.steps_per_epoch() + position.step, self.images // taken)
        longest = self.images // len(self.visits)
        block = self.settings.data.size // self.size

        def finish(batch):
            return tf.nn.avg_pool2d(records.to_signed(batch["image"]), block, block, "VALID")

        examples = None
        for name, visits in self.visits.items():
            own = pipeline.slices_of(self.prepared, visits, (name,)).map(lambda each, name=name: {"image": each[name]})
            own = own.repeat().take(longest)
            examples = own if examples is None else examples.concatenate(own)
        return pipeline.training_batches(
            examples,
            self.images,
            taken,
            self.training.seed,
            first_epoch=passed,
            skip=skip,
            drop_remainder=True,
            finish=finish,
        )

    def callbacks(self, folder: Path, quiet: bool, replicas: int) -> Sequence[keras.callbacks.Callback]:
        """Measures, sample pictures, history.csv and the progress bar, in this order."""
        training = self.training
        sample = sampling.sampler(self.gan.averaged or self.gan.generator)
        columns = [*self.losses, *thumbnails.MEASURES]
        shown = {"generator_loss": "G", "critic_loss": "D", "kernel_distance": "KD"}
        return [
            Every(training.validate_every, training.epochs, lambda epoch: self.measures(sample)),
            Every(training.sample_every, training.epochs, partial(self.draw_samples, folder, sample)),
            History(folder / "history.csv", columns),
            *([] if quiet else [Progress(training.epochs, self.steps_per_epoch(), shown)]),
        ]

    def measures(self, sample) -> dict[str, float]:
        """How far images are from real ones, and whether they differ from one another as real ones do."""
        return thumbnails.compared(self.real, self._fixed(sample, len(self.real)))

    def _fixed(self, sample, count: int) -> np.ndarray:
        return sample(sampling.noise(count, self.latent, self.training.seed))

    def draw_samples(self, folder: Path, sample, epoch: int) -> None:
        """samples/epoch_NNNN.png: images of the same noise at every epoch."""
        path = folder / "samples" / f"epoch_{epoch:04d}.png"
        caption = f"{self._trained(epoch)}; {SHOWN} images of noise that is the same in every picture; {GREY}"
        write_mosaic(path, self._fixed(sample, SHOWN), COLUMNS, caption)

    def _trained(self, epochs: int) -> str:
        """What a picture shows: which model after how many steps on which data."""
        steps = f"{epochs * self.steps_per_epoch()} generator steps of {self.training.batch_size} images"
        return f"{self.title(self.target_)} after {steps}; {self.describe()}"

    def finish(self, folder: Path) -> str:
        """Deliver the generator, metrics.json, quality.md and the pictures; returns the table.

        Made from the checkpoint, not from the model in training: see `papers.pairwise.training`.
        """
        generator, _ = self.networks()
        group = "averaged/0" if self.training.average else "generator/0"
        checkpoint.restore_network(generator, folder / "checkpoints" / "latest.npz", group)
        with written_aside(folder / "generators" / "generator.keras") as aside:
            generator.save(aside)
        sample = sampling.sampler(generator)
        found = self.measures(sample)
        origin = self.describe()
        write_text(folder / "metrics.json", json.dumps({"data": origin, "measures": found}, indent=1))
        self._draw(folder, sample)
        table = markdown(
            ["measure", "value"], [[name.replace("_", " "), f"{value:.4g}"] for name, value in found.items()]
        )
        note = (
            f"Compared: {len(self.real)} generated with as many of {self.compared_in_words} images, "
            f"{thumbnails.PIXELS}x{thumbnails.PIXELS} pixels; {thumbnails.MEANING}."
        )
        write_text(folder / "quality.md", f"Data: {origin}\n\n{table}\n\n{note}\n")
        return f"{table}\n\n{note}"

    def _draw(self, folder: Path, sample) -> None:
        vectors = sampling.noise(SHOWN, self.latent, self.training.seed)
        real = self.real.images[np.linspace(0, len(self.real) - 1, SHOWN // 2).round().astype(int)]
        fake = sample(vectors)[: SHOWN // 2]
        half = COLUMNS // 2  # columns of each side
        sides = [images.reshape(-1, half, self.size, self.size) for images in (fake, real)]
        columns = ["synthetic", f"real: {self.compared_in_words} images"]
        trained = self._trained(self.epochs)
        image_sheet(folder / "figure.png", np.concatenate(sides, axis=1), [""], columns, trained)
        pairs = [sampling.between(vectors[2 * i], vectors[2 * i + 1], STEPS) for i in range(STRIPS)]
        made = sample(np.concatenate(pairs)).reshape(STRIPS, STEPS, self.size, self.size)
        way = [f"{step}/{STEPS - 1}" for step in range(STEPS)]
        title = f"{trained}; in each row on the great circle from one noise vector, {way[0]}, to another, {way[-1]}"
        image_sheet(folder / "interpolation.png", made, [f"pair {i + 1}" for i in range(STRIPS)], way, title)
        frames = sorted((folder / "samples").glob("epoch_*.png"))
        caption = f"{trained}; images of the same noise on the way; {GREY}"
        write_animation(folder / "training.gif", frames, self.size, FRAME, caption)
