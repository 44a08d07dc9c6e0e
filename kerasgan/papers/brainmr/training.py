"""A training run of DCGAN or WGAN: its images, what it reports on the way, what it leaves behind."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from kerasgan.data import imagesets, pipeline, records
from kerasgan.data.modalities import DISPLAY, canonical
from kerasgan.data.prepare import Prepared, PreparedVisit
from kerasgan.errors import UserError
from kerasgan.files import write_text, written_aside
from kerasgan.gan import checkpoint, losses, sampling
from kerasgan.gan.callbacks import Every, History, Progress
from kerasgan.gan.checkpoint import Position
from kerasgan.gan.model import Game, LatentGAN
from kerasgan.gan.penalties import clip_weights
from kerasgan.metrics.kernel_distance import squared_mmd
from kerasgan.metrics.two_sample import nearest_neighbour_decisions
from kerasgan.papers.brainmr import networks, published
from kerasgan.papers.brainmr.settings import BrainmrSettings, LatentTraining
from kerasgan.report.mosaics import GAP, write_animation, write_mosaic
from kerasgan.report.tables import markdown

SIZES = (128, 64)  # stated, 3.2.1
SHOWN, COLUMNS = 64, 8  # images of fixed noise in a sample picture
FRAME = 4  # x 4 images of the animation
STRIPS, STEPS = 4, 8  # of the interpolation
THUMBNAIL = 16  # pixels of the images that the curves compare
COMPARED = 500  # of these, at most


class BrainmrTask:
    """Trains one of the paper's two GANs on a sequence; DCGAN and WGAN differ in game and optimizers alone."""

    model: ClassVar[str]
    name: ClassVar = ""
    monitor: ClassVar = None
    panels: ClassVar = {
        "losses": ["generator_loss", "critic_loss"],
        f"squared kernel distance of {THUMBNAIL}x{THUMBNAIL} thumbnails": ["kernel_distance"],
        "accuracy of 1-NN on thumbnails": ["nearest_neighbour"],
        "standard deviation of a pixel over images": ["spread", "spread_of_real"],
    }
    pictures: ClassVar = {
        "Synthetic (left) and real images": "figure.png",
        "From one noise vector to another": "interpolation.png",
        "Training": "training.gif",
    }

    @classmethod
    def target(cls, sequence: str, size: int | None = SIZES[0]) -> dict[str, Any]:
        """A sequence by any of its names, "concat" for the union of all, or "all" for the paper's rows; and pixels."""
        sequence = sequence.lower()
        if sequence == "all":
            return {"sequence": "all"}
        return {"sequence": sequence if sequence == imagesets.CONCAT else canonical(sequence), "size": size}

    @classmethod
    def run_name(cls, target: dict[str, Any], settings: BrainmrSettings) -> str:
        return "all" if target["sequence"] == "all" else f"{target['sequence']}-{target['size']}"

    @classmethod
    def title(cls, target: dict[str, Any]) -> str:
        if target["sequence"] == "all":
            return f"{cls.model} of every sequence"
        return f"{cls.model} of {target['sequence']} at {target['size']}x{target['size']}"

    @classmethod
    def members(cls, target: dict[str, Any], settings: BrainmrSettings, prepared: Prepared) -> list[dict[str, Any]]:
        """Table 1's rows of this model, of the sequences that the cohort has.

        Of data of another size than 128 pixels, the rows of 64 have half of it.
        """
        there = imagesets.sequences_of(prepared, None)
        return [
            {"sequence": sequence, "size": size * settings.data.size // SIZES[0]}
            for model, sequence, size in published.TABLE_1
            if model == cls.model and sequence in (*there, imagesets.CONCAT)
        ]

    def __init__(self, settings: BrainmrSettings, prepared: Prepared, target: dict[str, Any]):
        self.settings, self.prepared, self.target_ = settings, prepared, target
        self.size, self.sequence = target["size"], target["sequence"]
        networks.levels_of(self.size, settings.network.filters)
        if settings.data.size % self.size:
            raise UserError(
                f"images of {self.size} pixels cannot be made of the {settings.data.size} that {prepared.folder} was "
                "prepared with (data.size); expected a multiple: choose another --size, or prepare the cohort again"
            )
        subset = "train" if settings.study.held_out else "all"
        self.visits = self._visits(subset)
        each = {sequence: pipeline.count_slices(visits) for sequence, visits in self.visits.items()}
        # Balanced: a sequence that some patients lack has its images taken more than once (3.3's equal shares).
        self.images = max(each.values()) * len(each)
        taken = self.training.batch_size * self.critic_steps
        if self.images < taken:
            raise UserError(
                f"{prepared.folder} has {self.images} images of {self.sequence} to learn from, a step takes "
                f"{taken}; add patients, or lower {self.model}.batch_size"
            )
        self.real = self._reference("validation" if settings.study.held_out else "all")

    def _visits(self, subset: str) -> dict[str, list[PreparedVisit]]:
        study = self.settings.study
        return {
            name: imagesets.visits_with(self.prepared, name, subset, study.partition, study.label, study.value)
            for name in imagesets.sequences_of(self.prepared, self.sequence)
        }

    def _reference(self, subset: str) -> imagesets.ImageSet:
        """Real images of the run's size, at most COMPARED, drawn by the seed from all sequences alike."""
        rng = np.random.default_rng(self.training.seed)
        found, by_sequence = [], self._visits(subset)
        for name, visits in by_sequence.items():
            # A few visits hold enough: the images of hundreds would fill the memory.
            some = [visits[i] for i in rng.permutation(len(visits))[: max(1, COMPARED // 10)]]
            images = imagesets.of_visits(self.prepared, some, name)
            found.append(images.take(rng.permutation(len(images))[: COMPARED // len(by_sequence)]))
        whole = imagesets.joined(found)
        return replace(whole, images=imagesets.shrunk(whole.images, self.size))

    @property
    def training(self) -> LatentTraining:
        return getattr(self.settings, self.model)

    critic_steps: int = 1

    @property
    def stages(self) -> "tuple[BrainmrTask]":
        """A GAN is trained in one go."""
        return (self,)

    @property
    def epochs(self) -> int:
        return self.training.epochs

    def steps_per_epoch(self, replicas: int = 1) -> int:
        return self.training.steps_per_epoch

    @property
    def count(self) -> int:
        """Images that the steps of an epoch take in."""
        return self.training.steps_per_epoch * self.critic_steps * self.training.batch_size

    def describe(self) -> str:
        study = self.settings.study
        who = f"patients with {study.label}={study.value}" if study.label else "patients"
        who = f"training {who}" if study.held_out else f"all {who}"
        patients = {visit.patient for visits in self.visits.values() for visit in visits}
        return (
            f"data: {self.prepared.manifest.origin}: {len(patients)} {who}, {self.images} images of "
            f"{', '.join(DISPLAY[name] for name in self.visits)}"
        )

    def build(self, checkpoints: Path | None = None) -> LatentGAN:
        """The compiled model; call it inside the strategy's scope."""
        keras.utils.set_random_seed(self.training.seed)
        network = self.settings.network
        self.gan = LatentGAN(
            networks.generator(self.size, network),
            networks.critic(self.size, network),
            self.game(),
            latent_size=network.latent,
            critic_steps=self.critic_steps,
            average=self.training.average,
            seed=self.training.seed,
        )
        self.gan.compile({player: self.optimizer() for player in self.gan.players}, self.training.jit)
        return self.gan

    def game(self) -> Game:
        raise NotImplementedError

    def optimizer(self) -> keras.optimizers.Optimizer:
        raise NotImplementedError

    def batches(self, position: Position, replicas: int = 1) -> tf.data.Dataset:
        """Images (critic steps * batch, size, size, 1) in [-1, 1], another pass over the data after each."""
        taken = self.training.batch_size * self.critic_steps
        passed, skip = divmod(position.epoch * self.training.steps_per_epoch + position.step, self.images // taken)
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
        columns = ["generator_loss", "critic_loss", "kernel_distance", "nearest_neighbour", "spread", "spread_of_real"]
        shown = {"generator_loss": "G", "critic_loss": "D", "kernel_distance": "KD"}
        return [
            Every(training.validate_every, training.epochs, lambda epoch: self.measures(sample)),
            Every(training.sample_every, training.epochs, partial(self.draw_samples, folder, sample)),
            History(folder / "history.csv", columns),
            *([] if quiet else [Progress(training.epochs, training.steps_per_epoch, shown)]),
        ]

    def measures(self, sample) -> dict[str, float]:
        """How far images are from real ones, and whether they differ from one another as real ones do.

        Of thumbnails, which need no other network. kernel_distance is the squared maximum mean discrepancy, as in KID;
        it falls towards 0. nearest_neighbour is the accuracy with which the nearest image of other patients tells
        real from synthetic; 0.5 is chance. `spread` near 0 is mode collapse.
        """
        fake = np.clip(self._fixed(sample, len(self.real)), -1, 1)
        real, fake = (
            imagesets.shrunk(images, min(THUMBNAIL, self.size)).reshape(len(images), -1)
            for images in (self.real.images, fake)
        )
        return {
            "kernel_distance": squared_mmd(real, fake),
            "nearest_neighbour": self._nearest_neighbour(real, fake),
            "spread": float(fake.std(axis=0).mean()),
            "spread_of_real": float(real.std(axis=0).mean()),
        }

    def _nearest_neighbour(self, real: np.ndarray, fake: np.ndarray) -> float:
        """Every second patient and every second synthetic image are known, the others judged; classes weigh alike."""
        known = np.unique(self.real.groups, return_inverse=True)[1] % 2 == 0
        train, test = (np.concatenate([real[own], fake[i::2]]) for i, own in enumerate((known, ~known)))
        learnt, truth = (np.repeat([0, 1], [own.sum(), len(fake[i::2])]) for i, own in enumerate((known, ~known)))
        right = nearest_neighbour_decisions(train, learnt, test) == truth
        return float(np.mean([right[truth == label].mean() for label in np.unique(truth)]))

    def _fixed(self, sample, count: int) -> np.ndarray:
        return sample(sampling.noise(count, self.settings.network.latent, self.training.seed))

    def draw_samples(self, folder: Path, sample, epoch: int) -> None:
        """samples/epoch_NNNN.png: images of the same noise at every epoch."""
        write_mosaic(folder / "samples" / f"epoch_{epoch:04d}.png", self._fixed(sample, SHOWN), COLUMNS)

    def finish(self, folder: Path) -> str:
        """Deliver the generator, metrics.json, quality.md and the pictures; returns the table.

        Made from the checkpoint, not from the model in training: see `papers.pairwise.training`.
        """
        saved, _ = checkpoint.read(folder / "checkpoints" / "latest.npz")
        generator = networks.generator(self.size, self.settings.network)
        prefix = "averaged/0/" if self.training.average else "generator/0/"
        generator.set_weights([saved[name] for name in sorted(saved) if name.startswith(prefix)])
        with written_aside(folder / "generators" / "generator.keras") as aside:
            generator.save(aside)
        sample = sampling.sampler(generator)
        found = self.measures(sample)
        origin = self.describe().removeprefix("data: ")
        write_text(folder / "metrics.json", json.dumps({"data": origin, "measures": found}, indent=1))
        self._draw(folder, sample)
        table = markdown(
            ["measure", "value"], [[name.replace("_", " "), f"{value:.4g}"] for name, value in found.items()]
        )
        compared = "held-out" if self.settings.study.held_out else "the training"
        note = (
            f"Compared: {len(self.real)} generated with as many of {compared} images, {THUMBNAIL}x{THUMBNAIL} pixels."
        )
        write_text(folder / "quality.md", f"Data: {origin}\n\n{table}\n\n{note}\n")
        return table

    def _draw(self, folder: Path, sample) -> None:
        vectors = sampling.noise(SHOWN, self.settings.network.latent, self.training.seed)
        real = self.real.images[np.linspace(0, len(self.real) - 1, SHOWN // 2).round().astype(int)]
        fake = sample(vectors)[: SHOWN // 2]
        half = COLUMNS // 2  # columns of each side
        rows = [np.concatenate([fake[i : i + half], real[i : i + half]]) for i in range(0, len(real), half)]
        write_mosaic(folder / "figure.png", np.concatenate(rows), COLUMNS)
        pairs = [sampling.between(vectors[2 * i], vectors[2 * i + 1], STEPS) for i in range(STRIPS)]
        write_mosaic(folder / "interpolation.png", sample(np.concatenate(pairs)), STEPS)
        side = FRAME * (self.size + GAP) - GAP
        write_animation(folder / "training.gif", sorted((folder / "samples").glob("epoch_*.png")), (side, side))


class DcganTask(BrainmrTask):
    """DCGAN: the non-saturating game (Radford et al. 2016), Adam."""

    model = "dcgan"

    def game(self) -> Game:
        return Game(losses.non_saturating_discriminator, losses.non_saturating_generator)

    def optimizer(self) -> keras.optimizers.Optimizer:
        own = self.settings.dcgan
        return keras.optimizers.Adam(own.learning_rate, beta_1=own.beta_1)


class WganTask(BrainmrTask):
    """WGAN: the Wasserstein game with clipped weights (Arjovsky et al. 2017, Algorithm 1), RMSprop."""

    model = "wgan"

    @property
    def critic_steps(self) -> int:
        return self.settings.wgan.critic_steps

    def game(self) -> Game:
        clip = partial(clip_weights, limit=self.settings.wgan.clip)
        return Game(losses.wasserstein_critic, losses.wasserstein_generator, constrain=clip)

    def optimizer(self) -> keras.optimizers.Optimizer:
        own = self.settings.wgan
        return keras.optimizers.RMSprop(own.learning_rate, rho=own.rho)
