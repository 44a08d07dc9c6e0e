"""The AC-GAN that generates features of a class (Mehra et al., 3.2 and 4.2).

Where to read: feature_networks.py (generator and discriminator), acgan.py (eqs. 1, 2), standardisation.py, this module
(a run); numbers: the section `acgan` of configs/featuregan.yaml. arXiv 2209.14097.

Command:   kerasgan train acgan --features features/ --width 512
Published: the discriminator tells the class of 76 % of 4800 generated features at width 64, of 82.3 % at 512 (4.2.3).

Deviations: the class loss is the log-likelihood of eq. (2), where the public code that the authors began from takes
probabilities for their logarithms; beside it the generator minimises the non-saturating loss of that code, where 3.2
prints L_C - L_S (acgan.objective=minimax); features are standardised per channel for training and restored afterwards.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from kerasgan.errors import UserError
from kerasgan.files import write_text, written_aside
from kerasgan.gan import checkpoint, sampling
from kerasgan.gan.callbacks import Every, History, Progress
from kerasgan.gan.checkpoint import Position
from kerasgan.papers.featuregan import published
from kerasgan.papers.featuregan.acgan import ACGAN, LOSSES
from kerasgan.papers.featuregan.feature_networks import discriminator, generator
from kerasgan.papers.featuregan.labels import labels_of_both
from kerasgan.papers.featuregan.reading import batches_of
from kerasgan.papers.featuregan.settings import AcganSettings, FeatureganSettings, StudySettings
from kerasgan.papers.featuregan.standardisation import Standard
from kerasgan.papers.featuregan.store import FeatureStore
from kerasgan.papers.task import OneStage
from kerasgan.report.mosaics import feature_maps
from kerasgan.report.tables import Table, markdown

GENERATOR, CRITIC = Path("feature_generator.keras"), Path("feature_critic.keras")  # what a run leaves
MAPS = 25  # of a class in Figures 9 and 10
VALIDATED = 320  # generated features whose class accuracy the curves show
BATCH = 16  # features that are generated at once


class AcganTask(OneStage):
    """Trains a generator of features of one width on the training features of a store."""

    panels: ClassVar = {
        "losses (Figure 11)": ["generator_loss", "critic_loss"],
        f"class accuracy of D (Figure 11); generated: {VALIDATED}, without dropout": [
            "class_accuracy_real",
            "class_accuracy_fake",
            "class_accuracy_generated",
        ],
    }
    pictures: ClassVar = {
        "25 real feature maps per class (Figure 9)": "figure9.png",
        "25 synthetic feature maps per class (Figure 10)": "figure10.png",
    }

    @staticmethod
    def target(width: int | str | None = None) -> dict[str, Any]:
        """A width, or "all" for those of `sweep.widths`; None: `sweep.width`, or that of a run that is resumed."""
        if isinstance(width, str) and width != "all":
            width = int(width) if width.isdecimal() else 0
        if width not in (None, "all") and width < 1:
            raise UserError("--width expects a number of channels, such as 64, 256 or 512, or all")
        return {"width": width}

    @staticmethod
    def run_name(target: dict[str, Any], settings: FeatureganSettings) -> str:
        """The default name of a run's folder."""
        return "all" if target["width"] == "all" else f"width-{target['width']}"

    @staticmethod
    def title(target: dict[str, Any]) -> str:
        """What is trained, in words."""
        if target["width"] == "all":
            return "AC-GAN of every width"
        return f"AC-GAN of width {target['width']}" if target["width"] else "AC-GAN"

    @classmethod
    def settled(cls, target: dict[str, Any], settings: FeatureganSettings) -> dict[str, Any]:
        return {"width": target["width"] or settings.sweep.width}

    @staticmethod
    def members(target: dict[str, Any], settings: FeatureganSettings, prepared: FeatureStore) -> list[dict[str, Any]]:
        """The targets that "all" stands for: the paper's widths."""
        return [{"width": width} for width in settings.sweep.widths]

    def __init__(self, settings: FeatureganSettings, prepared: FeatureStore, target: dict[str, Any]):
        self.settings, self.prepared, self.width = settings, prepared, target["width"]
        self.indices = prepared.indices("train")
        self.labels = labels_of_both(prepared, settings.study, "train")
        self.standard = prepared.manifest.channels["train"]
        self.count = self.steps_per_epoch() * settings.acgan.batch_size

    @property
    def training(self) -> AcganSettings:
        return self.settings.acgan

    def describe(self) -> str:
        """Features per class, for the user."""
        study = self.settings.study
        each = [f"{np.sum(self.labels[self.indices] == k)} {name}" for k, name in enumerate(study.classes)]
        return f"{self.prepared.about}: {' and '.join(each)}"

    def networks(self) -> tuple[keras.Model, keras.Model]:
        """Generator and discriminator."""
        own, shape = self.training, self.prepared.shape
        common = {"width": self.width, "slope": own.slope, "momentum": own.momentum, "epsilon": own.epsilon}
        return generator(shape, latent=own.latent, **common), discriminator(shape, dropout=own.dropout, **common)

    def build(self, checkpoints: Path | None = None) -> ACGAN:
        """The compiled model; call it inside the strategy's scope."""
        own = self.training
        keras.utils.set_random_seed(own.seed)
        self.gan = ACGAN(*self.networks(), latent_size=own.latent, objective=own.objective, seed=own.seed)
        self.gan.compile({name: self._adam() for name in self.gan.players}, own.jit)
        return self.gan

    def _adam(self) -> keras.optimizers.Optimizer:
        return keras.optimizers.Adam(self.training.learning_rate, beta_1=self.training.beta_1)

    def steps_per_epoch(self, replicas: int = 1) -> int:
        return len(self.indices) // self.training.batch_size  # batch normalisation wants whole batches

    def batches(self, position: Position, replicas: int = 1) -> tf.data.Dataset:
        """Batches of standardised `feature` (b, h, w, c) and `label` (b,), as `ACGAN` takes them, read from disk."""
        labels = tf.constant(self.labels)

        def finish(batch):
            feature = self.standard.standardise(batch["features"])
            return {"feature": feature, "label": tf.gather(labels, batch["index"])}

        own = self.training
        stream = batches_of(
            self.prepared,
            self.indices,
            own.batch_size,
            own.seed,
            first_epoch=position.epoch,
            skip=position.step,
            drop_remainder=True,
        )
        return stream.map(finish)

    def callbacks(self, folder: Path, quiet: bool, replicas: int) -> Sequence[keras.callbacks.Callback]:
        """Class accuracy, sample pictures, history.csv and the progress bar, in this order."""
        own = self.training
        makers = Makers(self.gan.generator, self.gan.critic, self.standard, own)
        shown = {"generator_loss": "G", "critic_loss": "D", "class_accuracy_fake": "class"}
        return [
            Every(own.validate_every, own.epochs, lambda epoch: self.validate(makers)),
            Every(own.sample_every, own.epochs, lambda epoch: self.draw(self._sample(folder, epoch), makers, epoch)),
            History(folder / "history.csv", [*LOSSES, "class_accuracy_generated"]),
            *([] if quiet else [Progress(own.epochs, self.steps_per_epoch(), shown)]),
        ]

    def validate(self, makers: "Makers") -> dict[str, float]:
        """The share of generated features whose class the discriminator, without dropout, tells right."""
        count = min(VALIDATED, self.training.samples)
        right = [right for _, _, right in makers.judged(count, self.training.seed)]
        return {"class_accuracy_generated": float(np.concatenate(right).mean())}

    def _sample(self, folder: Path, epoch: int) -> Path:
        return folder / "samples" / f"epoch_{epoch:04d}.png"

    def draw(self, path: Path, makers: "Makers", epochs: int) -> None:
        """Figure 10: 25 maps of a generated feature of class 0 (left) and of class 1."""
        noise = sampling.noise(2, self.training.latent, self.training.seed)
        steps = f"{epochs * self.steps_per_epoch()} steps of {self.training.batch_size} features"
        made_by = f"AC-GAN of width {self.width} after {steps}"
        self._write_maps(path, makers.features(noise, np.array([0, 1])), "synthetic", f"; {made_by}")

    def _write_maps(self, path: Path, features: np.ndarray, what: str, made_by: str = "") -> None:
        names = [f"{what} {name}" for name in self.settings.study.classes]
        maps = dict(zip(names, shown_maps(features, self.standard), strict=True))
        number = len(next(iter(maps.values())))
        feature_maps(path, maps, f"The first {number} maps of a feature of each class; {self.prepared.about}{made_by}")

    def finish(self, folder: Path) -> str:
        """Deliver generator and discriminator, metrics.json, quality.md and the figures; returns the table.

        Made from the checkpoint, not from the model in training: see `papers.pairwise.training`.
        """
        networks = self.networks()
        for network, name, path in zip(networks, ("generator", "critic"), (GENERATOR, CRITIC), strict=True):
            checkpoint.restore_network(network, folder / "checkpoints" / "latest.npz", f"{name}/0")
            with written_aside(folder / path) as aside:
                network.save(aside)
        makers = Makers(*networks, self.standard, self.training)
        self.draw(folder / "figure10.png", makers, self.epochs)
        real = [self.indices[self.labels[self.indices] == k][0] for k in (0, 1)]
        self._write_maps(folder / "figure9.png", self.prepared.read(real).astype(np.float32), "real")
        judged = [(label, right) for _, label, right in makers.judged(self.training.samples, self.training.seed)]
        label, right = (np.concatenate(each) for each in zip(*judged, strict=True))
        accuracy = {name: float(right[label == k].mean()) for k, name in enumerate(self.settings.study.classes)}
        metrics = {
            "data": self.prepared.manifest.origin,
            "width": self.width,
            "samples": self.training.samples,
            "class_accuracy": float(right.mean()),
            "by_class": accuracy,
        }
        write_text(folder / "metrics.json", json.dumps(metrics, indent=1))
        found = class_accuracy_table([metrics], self.settings.study)
        table = markdown(found.header, found.rows)
        write_text(folder / "quality.md", f"Data: {self.prepared.about}\n\n{table}\n")
        return table


class Makers:
    """Generator and discriminator at work: features of wanted classes, and whether their class shows.

    Graphs are traced once and read the networks' present weights.
    """

    def __init__(self, generator: keras.Model, critic: keras.Model, standard: Standard, settings: AcganSettings):
        self.generator, self.standard, self.settings = generator, standard, settings

        def judge(features: tf.Tensor) -> tf.Tensor:
            _, classes = critic(standard.standardise(features), training=False)
            return tf.argmax(classes, axis=-1, output_type=tf.int32)

        latent, shape = generator.input_shape[0][1:], generator.output_shape[1:]
        # Concrete functions: TensorFlow warns of many traced functions from one line, and each network needs its own.
        self._make = tf.function(self.restored).get_concrete_function(
            tf.TensorSpec((BATCH, *latent), tf.float32), tf.TensorSpec((BATCH,), tf.int32)
        )
        self._judge = tf.function(judge).get_concrete_function(tf.TensorSpec((BATCH, *shape), tf.float32))

    def restored(self, noise: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        """Features (n, h, w, c) of noise (n, latent) and classes (n,), in the U-Net's units."""
        features = self.standard.restore(self.generator([noise, label], training=False))
        return tf.nn.relu(features) if self.settings.rectify else features

    def features(self, noise: np.ndarray, label: np.ndarray) -> np.ndarray:
        """Features (n, h, w, c) of at most BATCH noise vectors and classes, in the U-Net's units."""
        return self._make(_filled(noise), _filled(label.astype(np.int32))).numpy()[: len(noise)]

    def classes(self, features: np.ndarray) -> np.ndarray:
        """The class, 0 or 1, that the discriminator gives to at most BATCH features (n, h, w, c)."""
        return self._judge(_filled(features)).numpy()[: len(features)]

    def judged(self, count: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """`count` features in batches: themselves, the wanted class, whether the discriminator tells it.

        Classes take turns; the same seed makes the same features, and the first ones of more.
        """
        random = np.random.default_rng(seed)
        for start in range(0, count, BATCH):
            noise = random.standard_normal((min(BATCH, count - start), self.settings.latent), np.float32)
            label = (start + np.arange(len(noise))) % 2
            features = self.features(noise, label)
            yield features, label, self.classes(features) == label


def _filled(values: np.ndarray) -> tf.Tensor:
    """A batch of BATCH, the last ones zeros, so that a feature does not depend on its batch."""
    filled = np.zeros((BATCH, *values.shape[1:]), values.dtype)
    filled[: len(values)] = values
    return tf.constant(filled)


def shown_maps(features: np.ndarray, standard: Standard) -> np.ndarray:
    """The first 25 maps of each of some features (n, h, w, c) as images in [-1, 1], (n, 25, h, w) or fewer.

    Of channels that are not the same everywhere; 0 is the mean of the training features, -1 and 1 two standard
    deviations from it and more.
    """
    alive = np.flatnonzero(standard.deviation)[:MAPS]
    return np.clip(np.moveaxis(standard.standardise(features)[..., alive] / 2, -1, 1), -1, 1)


def class_accuracy_table(runs: Sequence[dict[str, Any]], study: StudySettings) -> Table:
    """Section 4.2.3: generated features whose class the discriminator tells right, by width, of runs' metrics."""
    names = study.classes[::-1]
    rows = [
        [
            str(run["width"]),
            str(run["samples"]),
            f"{run['class_accuracy']:.3f}",
            *(f"{run['by_class'][name]:.3f}" for name in names),
            str(published.CLASS_ACCURACY.get(run["width"], "–")),
        ]
        for run in runs
    ]
    header = ["width", "generated", "class accuracy", *(f"of {name}" for name in names), "Mehra et al., of 4800"]
    note = "Whether D tells the class that G was asked for. It rates features, not how well they help."
    return Table("class_accuracy", "Section 4.2.3: class accuracy of generated features", header, rows, [note])
