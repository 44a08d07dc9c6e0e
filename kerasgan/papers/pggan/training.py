"""A training run of the PGGAN: a stage per resolution, what it reports on the way, what it leaves behind."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from kerasgan.data import imagesets, pipeline, records
from kerasgan.data.labels import class_of
from kerasgan.data.modalities import DISPLAY
from kerasgan.data.prepare import Prepared, PreparedVisit
from kerasgan.errors import UserError
from kerasgan.evaluation import thumbnails
from kerasgan.files import write_text, written_aside
from kerasgan.gan import checkpoint, sampling
from kerasgan.gan.callbacks import Every, History, Progress
from kerasgan.gan.checkpoint import Position
from kerasgan.metrics.sliced_wasserstein import sliced_wasserstein_by_level
from kerasgan.papers.pggan.layers import group_of
from kerasgan.papers.pggan.networks import Architecture, critic, generator, settled
from kerasgan.papers.pggan.progressive import LOSSES, ProgressiveGAN
from kerasgan.papers.pggan.settings import PgganSettings, ProgressiveTraining
from kerasgan.papers.task import PaperTask
from kerasgan.report.figures import GREY
from kerasgan.report.mosaics import image_sheet, write_animation, write_mosaic
from kerasgan.report.tables import markdown

STAGES = Path("stages")  # of a run: a generator per resolution
SHOWN, COLUMNS = 32, 8  # images of fixed noise in a sample picture, half of them of each class
STRIP = 4  # noise vectors of each class in the picture of growth
FRAME = 4  # a frame of the animation shows 4 x 4 images
COMPARED = 500  # real images that curves compare with, at most
LEAST_SWD = 16  # pixels


class PgganTask(PaperTask):
    """Grows generator and critic from 4x4 pixels to the data's size on the training patients of both classes."""

    panels: ClassVar = {
        "losses": ["generator_loss", "critic_loss"],
        "Wasserstein estimate": ["wasserstein"],
        "gradient penalty": ["gradient_penalty"],
        "weight of the larger image while it fades in": ["alpha"],
        **thumbnails.PANELS,
    }
    pictures: ClassVar = {
        "Synthetic (left) and real images, class by class": "figure3.png",
        "The same noise at each resolution": "growth.png",
        "Samples during training": "training.gif",
    }

    @staticmethod
    def target() -> dict[str, Any]:
        """Nothing but the settings decides what is trained."""
        return {}

    @staticmethod
    def run_name(target: dict[str, Any], settings: PgganSettings) -> str:
        """The default name of a run's folder."""
        return f"{settings.study.modality}-{settings.data.size}"

    @staticmethod
    def title(target: dict[str, Any]) -> str:
        """What is trained, in words."""
        return "PGGAN"

    def __init__(self, settings: PgganSettings, prepared: Prepared, target: dict[str, Any]):
        self.settings, self.prepared = settings, prepared
        group_of(settings.pggan.batch_size)
        self.visits = self._visits("train")
        self.labels = np.repeat(
            [class_of(visit, settings.study, "study") for visit in self.visits],
            [len(visit.slices) for visit in self.visits],
        ).astype(np.int32)
        self._require_classes()
        self.images = len(self.labels)
        self.real = self._reference()
        network = settings.network.model_dump()
        self.architecture = Architecture(classes=len(settings.study.classes), **network)
        whole = settings.pggan.steps // settings.pggan.steps_per_epoch
        resolutions = settings.resolutions
        # What does not divide evenly goes to the largest images, which have most to learn.
        share, rest = divmod(whole, len(resolutions))
        epochs = [share + (place >= len(resolutions) - rest) for place in range(len(resolutions))]
        self.stages = [
            GrowthStage(self, place, pixels, epochs[place], sum(epochs[:place]))
            for place, pixels in enumerate(resolutions)
        ]

    def _visits(self, subset: str) -> list[PreparedVisit]:
        study = self.settings.study
        return imagesets.visits_with(self.prepared, study.modality, subset, study.partition)

    def _require_classes(self) -> None:
        """Patients of both classes, to learn from and to show beside what is generated of them."""
        own, told = self.settings.study, self.settings.network.class_from
        if told is None:
            return
        for subset, visits in (("training", self.visits), ("test", self._visits("test"))):
            there = {class_of(visit, own, "study") for visit in visits}
            for label, name in enumerate(own.classes):
                if label not in there:
                    raise UserError(
                        f"{self.prepared.folder} has no {subset} patient of class {name}, which is to be generated "
                        f"from {told} pixels on: add patients, split by class (--set split.stratify={own.label} when "
                        "preparing), or set network.class_from=null"
                    )

    def _reference(self) -> imagesets.ImageSet:
        """Images of test patients, with which curves compare; fewer than two patients are a `UserError`."""
        study, visits = self.settings.study, self._visits("test")
        if len({visit.patient for visit in visits}) < 2:
            raise UserError(
                f"{self.prepared.folder} has 1 test patient, with whose images curves compare; expected 2 or more: add "
                "patients, or split otherwise"
            )
        count = min(COMPARED, pipeline.count_slices(visits))
        seed = self.settings.pggan.seed
        return imagesets.drawn_of_visits(self.prepared, {study.modality: visits}, None, count, seed)

    @property
    def training(self) -> ProgressiveTraining:
        return self.settings.pggan

    def describe(self) -> str:
        """Patients and images per class, for the user."""
        study = self.settings.study
        patients = {visit.patient: class_of(visit, study, "study") for visit in self.visits}
        each = [
            f"{sum(own == label for own in patients.values())} {name} ({int((self.labels == label).sum())} images)"
            for label, name in enumerate(study.classes)
        ]
        return f"{self.prepared.manifest.origin}: {DISPLAY[study.modality]} of training patients, {' and '.join(each)}"

    # ---- what generators make ----

    def shown(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Fixed noise (count, latent) and classes (count,), first those of class 0: every noise in both classes."""
        half = sampling.noise(count // 2, self.settings.network.latent, self.training.seed, sampling.uniform)
        return np.concatenate([half, half]), np.repeat([0, 1], count // 2)

    def made(self, sample, resolution: int, noise: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Images (n, r, r) of a stage's sampler."""
        return sample(noise, labels) if self.architecture.conditional(resolution) else sample(noise)

    @property
    def told(self) -> str:
        """Which generators are told a class, in words."""
        pixels = self.settings.network.class_from
        return "no class is told" if pixels is None else f"classes are told from {pixels}x{pixels} pixels on"

    @property
    def halves(self) -> str:
        """What `shown` is, in words."""
        upper, lower = self.settings.study.classes
        return f"the same noise in every picture, in the upper half as {upper}, in the lower as {lower}; {self.told}"

    def trained(self, steps: int) -> str:
        """What a picture shows: which model after how many steps on which data."""
        return f"PGGAN after {steps} generator steps of {self.training.batch_size} images; {self.describe()}"

    def enlarged(self, images: np.ndarray) -> np.ndarray:
        """Images of any stage as large as the last one's, pixel by pixel."""
        times = self.settings.data.size // images.shape[1]
        return images.repeat(times, axis=1).repeat(times, axis=2)

    # ---- what a run leaves behind ----

    def finish(self, folder: Path) -> str:
        """Deliver a generator per stage, metrics.json, quality.md and the pictures; returns the table.

        Made from the checkpoints, not from the model in training: see `papers.pairwise.training`.
        """
        noise, labels = self.shown(2 * STRIP)
        growth = []
        for stage in self.stages:
            network = stage.delivered(folder / "checkpoints")
            with written_aside(folder / STAGES / f"{stage.resolution:04}.keras") as aside:
                network.save(aside)
            sample = sampling.sampler(network)
            growth.append(self.enlarged(self.made(sample, stage.resolution, noise, labels)))
        with written_aside(folder / "generators" / "generator.keras") as aside:
            network.save(aside)
        trained = self.trained(self.training.steps)
        resolutions = [f"{stage.resolution}x{stage.resolution}" for stage in self.stages]
        title = f"{trained}; in each row the same noise at the end of each resolution's stage; {self.told}"
        image_sheet(folder / "growth.png", np.stack(growth, axis=1), self.settings.study.classes, resolutions, title)
        self._draw_classes(folder / "figure3.png", sample, trained)
        frames = sorted((folder / "samples").glob("epoch_*.png"))
        caption = f"{trained}; {self.halves}; {GREY}"
        write_animation(folder / "training.gif", frames, self.settings.data.size, FRAME, caption)
        measures = self.stages[-1].measures(sample)
        distances = self._distances(sample)
        origin = self.describe()
        content = {"data": origin, "measures": measures, "sliced_wasserstein": distances}
        write_text(folder / "metrics.json", json.dumps(content, indent=1))
        rows = [[name.replace("_", " "), f"{value:.4g}"] for name, value in measures.items()]
        rows += [[f"sliced Wasserstein distance, {name}", f"{value:.4g}"] for name, value in distances.items()]
        table = markdown(["measure", "value"], rows)
        note = (
            f"Compared: {len(self.real)} generated with as many real images of test patients, whom the GAN has not "
            f"seen; the first rows on thumbnails of {thumbnails.PIXELS}x{thumbnails.PIXELS} pixels; "
            f"{thumbnails.MEANING}."
        )
        write_text(folder / "quality.md", f"Data: {origin}\n\n{table}\n\n{note}\n")
        return f"{table}\n\n{note}"

    def _draw_classes(self, path: Path, sample, trained: str) -> None:
        """Each class in lines of its own: synthetic images left, real ones of test patients right."""
        noise, labels = self.shown(SHOWN)
        fakes = self.made(sample, self.settings.data.size, noise, labels)
        rows, study, tested = {}, self.settings.study, self._visits("test")
        shape = (-1, COLUMNS // 2, *fakes.shape[1:])
        for label, name in enumerate(study.classes):
            visits = [visit for visit in tested if visit.labels.get(study.label) == name]
            if not visits:  # of a network that is told no class
                continue
            fake = fakes[labels == label]
            count = min(len(fake), pipeline.count_slices(visits))
            source = {study.modality: visits}
            real = imagesets.drawn_of_visits(self.prepared, source, None, count, self.training.seed).images
            repeated = f", the {count} real ones repeated" if count < len(fake) else ""
            sides = [images.reshape(shape) for images in (fake, np.resize(real, fake.shape))]
            rows[f"{name}{repeated}"] = np.concatenate(sides, axis=1)
        columns = ["synthetic", "real, of test patients"]
        image_sheet(path, np.concatenate(list(rows.values())), list(rows), columns, f"{trained}; {self.told}")

    def _distances(self, sample) -> dict[str, float]:
        """Sliced Wasserstein distances to test patients' images by pyramid level, and those of training images."""
        if self.settings.data.size < LEAST_SWD:
            return {}
        count, seed = min(len(self.real), self.images), self.training.seed
        real = self.real.sample(count, seed).images
        noise = sampling.noise(count, self.settings.network.latent, seed, sampling.uniform)
        fakes = self.made(sample, self.settings.data.size, noise, np.arange(count) % 2)
        study = self.settings.study
        learnt = imagesets.drawn_of_visits(self.prepared, {study.modality: self.visits}, None, count, seed).images
        sets = {"synthetic": np.clip(fakes, -1, 1), "training images": learnt}
        return {
            f"{pixels} px, {name}": float(value)
            for name, images in sets.items()
            for pixels, value in sliced_wasserstein_by_level(real, images, seed=seed).items()
        }


class GrowthStage:
    """Training at one resolution."""

    monitor: ClassVar = None

    def __init__(self, task: PgganTask, place: int, resolution: int, epochs: int, earlier: int):
        self.task, self.place, self.resolution, self.epochs, self.earlier = task, place, resolution, epochs, earlier
        self.name = f"{resolution:04}"
        own = task.settings.pggan
        self.taken = own.batch_size * own.critic_steps
        if task.images < self.taken:
            raise UserError(
                f"{task.prepared.folder} has {task.images} images to learn from, a step takes {self.taken}; add "
                "patients, or lower pggan.batch_size"
            )
        self.real = imagesets.resized(task.real, resolution)

    @property
    def count(self) -> int:
        """Images that the steps of an epoch take in."""
        return self.steps_per_epoch() * self.taken

    def networks(self) -> tuple[keras.Model, keras.Model]:
        """Generator and critic."""
        return generator(self.resolution, self.task.architecture), critic(self.resolution, self.task.architecture)

    def build(self, checkpoints: Path) -> ProgressiveGAN:
        """The compiled model, grown from the stage before; call it inside the strategy's scope."""
        own, seed = self.task.training, self.task.training.seed + 1000 * self.place
        group_of(own.batch_size // ProgressiveGAN.replicas())
        keras.utils.set_random_seed(seed)
        fade_steps = int(own.fade * self.epochs * own.steps_per_epoch) if self.place else 0
        self.gan = ProgressiveGAN(
            *self.networks(),
            latent_size=self.task.settings.network.latent,
            critic_steps=own.critic_steps,
            fade_steps=fade_steps,
            flip_every=own.flip_every,
            flip_by=own.flip_by,
            penalty_weight=own.penalty_weight,
            drift=own.drift,
            average=own.average,
            seed=seed,
        )
        if self.place:
            before = self.task.stages[self.place - 1]
            before.gan = None  # its weights and moments would stay in memory to the end of the run
            saved, _ = checkpoint.read(checkpoints / before.name / "latest.npz")
            self.gan.inherit(saved, *before.networks())
        self.gan.compile({player: self._adam() for player in self.gan.players}, own.jit)
        return self.gan

    def _adam(self) -> keras.optimizers.Optimizer:
        own = self.task.training
        return keras.optimizers.Adam(own.learning_rate, beta_1=own.beta_1, beta_2=own.beta_2, epsilon=own.epsilon)

    def steps_per_epoch(self, replicas: int = 1) -> int:
        return self.task.training.steps_per_epoch

    def batches(self, position: Position, replicas: int = 1) -> tf.data.Dataset:
        """Batches of `image` (critic_steps * batch, r, r, 1) in [-1, 1], means of the stored pixels, and `class`."""
        task, own = self.task, self.task.training
        name, block = task.settings.study.modality, task.settings.data.size // self.resolution
        passed, skip = divmod(position.epoch * self.steps_per_epoch() + position.step, task.images // self.taken)
        stored = pipeline.slices_of(task.prepared, task.visits, (name,))
        labels = tf.data.Dataset.from_tensor_slices(task.labels)
        examples = tf.data.Dataset.zip(stored, labels).map(lambda each, label: {"image": each[name], "class": label})

        def finish(batch):
            image = tf.nn.avg_pool2d(records.to_signed(batch["image"]), block, block, "VALID")
            return {"image": image, "class": batch["class"]}

        return pipeline.training_batches(
            examples,
            task.images,
            self.taken,
            own.seed + 1000 * self.place,
            first_epoch=passed,
            skip=skip,
            drop_remainder=True,
            finish=finish,
        )

    def callbacks(self, folder: Path, quiet: bool, replicas: int) -> Sequence[keras.callbacks.Callback]:
        """Measures, sample pictures, history.csv (epochs are counted on over the stages) and the progress bar."""
        own = self.task.training
        sample = sampling.sampler(self.gan.averaged or self.gan.generator)
        shown = {"generator_loss": "G", "wasserstein": "W", "alpha": "alpha", "kernel_distance": "KD"}
        bar = Progress(self.epochs, self.steps_per_epoch(), shown, f"{self.resolution}x{self.resolution}")
        return [
            Every(own.validate_every, self.epochs, lambda epoch: self.measures(sample)),
            Every(own.sample_every, self.epochs, partial(self.draw_samples, folder, sample)),
            History(folder / "history.csv", [*LOSSES, *thumbnails.MEASURES], self.earlier),
            *([] if quiet else [bar]),
        ]

    def measures(self, sample) -> dict[str, float]:
        """How far images are from real ones of test patients at this resolution."""
        task, count = self.task, len(self.real)
        labels = np.arange(count) // 2 % 2  # both classes among the even and among the odd images, see `thumbnails`
        noise = sampling.noise(count, task.settings.network.latent, task.training.seed, sampling.uniform)
        return thumbnails.compared(self.real, task.made(sample, self.resolution, noise, labels))

    def draw_samples(self, folder: Path, sample, epoch: int) -> None:
        """samples/epoch_NNNN.png: images of the same noise at every epoch, each class in lines of its own."""
        images = self.task.made(sample, self.resolution, *self.task.shown(SHOWN))
        epochs = self.earlier + epoch
        trained = self.task.trained(epochs * self.steps_per_epoch())
        caption = f"{trained}; of {self.resolution}x{self.resolution} pixels; {self.task.halves}; {GREY}"
        write_mosaic(folder / "samples" / f"epoch_{epochs:04d}.png", self.task.enlarged(images), COLUMNS, caption)

    def delivered(self, checkpoints: Path) -> keras.Model:
        """The generator at the end of the stage: its running average, without what it fades from."""
        network = generator(self.resolution, self.task.architecture)
        group = "averaged/0" if self.task.training.average else "generator/0"
        checkpoint.restore_network(network, checkpoints / self.name / "latest.npz", group)
        return settled(network)
