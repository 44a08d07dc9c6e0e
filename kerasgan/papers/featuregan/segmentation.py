"""The U-Net whose blocks are the features of Mehra et al. (3.1, 4.1), fine-tuned to segment the tumour.

Where to read: unet.py (the network), tensorlayer.py (its published weights), losses.py (eq. 3), this module (a run);
numbers: the section `unet` of configs/featuregan.yaml. arXiv 2209.14097.

Command:   kerasgan train unet --set unet.weights=u_net.npz --data prepared/
Published: soft Dice loss, hard Dice and IoU of training and validation (Table 2), of which the available text has two
values, 0.74 and 0.79, without the names of their rows.

Deviations: the published weights (u-net-brain-tumor, trained on BraTS) cannot be shipped, so without a file of weights
training begins from random numbers; intensities are scaled to their percentiles per volume before the z-score, which
takes the training samples alone, not "all the samples" (3.5), which would include those that are tested on
(unet.standardised_by=all); for the augmentation see `kerasgan.data.warping.augment`.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from kerasgan.data import pipeline
from kerasgan.data.modalities import DISPLAY
from kerasgan.data.prepare import Prepared
from kerasgan.data.warping import Augmentation, augment
from kerasgan.errors import UserError
from kerasgan.files import write_text, written_aside
from kerasgan.gan import checkpoint
from kerasgan.gan.callbacks import Every, History, Progress
from kerasgan.gan.checkpoint import Position
from kerasgan.gan.supervised import SupervisedModel
from kerasgan.metrics.overlap import hard_dice, iou
from kerasgan.papers.featuregan import losses, published
from kerasgan.papers.featuregan.settings import AugmentationSettings, FeatureganSettings, UnetSettings
from kerasgan.papers.featuregan.slices import Slices, unit
from kerasgan.papers.featuregan.standardisation import Standard
from kerasgan.papers.featuregan.unet import unet
from kerasgan.papers.featuregan.weights import load_weights
from kerasgan.papers.task import OneStage
from kerasgan.report.page import read_history
from kerasgan.report.segmentation import SegmentedSlice, segmentation_grid
from kerasgan.report.tables import markdown

NETWORK, STANDARD = "unet.keras", "standard.json"  # what a run leaves: the network, the z-score of its input
LOSSES = {"soft_dice": losses.soft_dice, "squared_soft_dice": losses.squared_soft_dice}
NAMES = {"soft_dice": "soft Dice", "squared_soft_dice": "squared soft Dice"}
# Mean IoU of whole volumes. Of slices, most of which show no tumour, an epoch that predicts none would have the best.
CHOSEN_BY = "validation_patient_iou"
MEASURES = ("loss", "dice", "iou")  # the loss is that of the training, in validation always eq. (3)'s
SAMPLES = 4
BLIND = (
    "The network predicts no tumour in any held-out slice, where soft Dice has no slope to learn from: begin a new run "
    "with a lower unet.learning_rate or with weights of a trained U-Net (unet.weights)."
)
CHOSEN = (
    "The epoch that is delivered was chosen by the very patients that it is measured on, so these numbers flatter it: "
    "set unet.keep=latest, or study.validate_on=validation."
)
PUBLISHED_SIZE = 240  # pixels, for which Table 1 gives the elastic distortion


class UnetTask(OneStage):
    """Trains the U-Net on every slice of the training patients, with the augmentation of Table 1."""

    monitor: ClassVar = CHOSEN_BY
    pictures: ClassVar = {"Held-out slices: true and predicted tumour": "figure7.png"}

    @staticmethod
    def target() -> dict[str, Any]:
        """Nothing but the settings decides what is trained."""
        return {}

    @staticmethod
    def run_name(target: dict[str, Any], settings: FeatureganSettings) -> str:
        """The default name of a run's folder."""
        return "-".join(settings.study.modalities)

    @staticmethod
    def title(target: dict[str, Any]) -> str:
        """What is trained, in words."""
        return "U-Net"

    def __init__(self, settings: FeatureganSettings, prepared: Prepared, target: dict[str, Any]):
        self.settings, self.prepared = settings, prepared
        self.learnt = Slices.of(prepared, settings.study, "train")
        self.validation = Slices.of(prepared, settings.study, settings.study.validate_on)
        self.held_out = Slices.of(prepared, settings.study, "test")
        self.count = self.learnt.count
        if self.training.weights != "random":  # weights of another network are found out before there is a run's folder
            self._beginning()

    @property
    def training(self) -> UnetSettings:
        return self.settings.unet

    @property
    def panels(self) -> dict[str, list[str]]:
        """Of the curves in the report."""
        own, other = NAMES[self.training.loss], NAMES["soft_dice"]
        return {
            f"{own} loss" + (f", in validation {other}" if own != other else ""): ["loss", "validation_loss"],
            "hard Dice": ["dice", "validation_dice"],
            "intersection over union": ["iou", "validation_iou", CHOSEN_BY],
        }

    @cached_property
    def standard(self) -> Standard:
        """Of the slices that `unet.standardised_by` names."""
        if self.training.standardised_by == "train":
            return self.learnt.measured()
        every = [visit for own in (self.learnt, self.validation, self.held_out) for visit in own.visits]
        return replace(self.learnt, visits=list({visit.name: visit for visit in every}.values())).measured()

    def describe(self) -> str:
        """Patients and slices, for the user."""
        names = ", ".join(DISPLAY[name] for name in self.settings.study.modalities)
        return (
            f"{self.prepared.manifest.origin}: {len(self.learnt.visits)} visits, {self.count} {names} slices to learn; "
            f"{len(self.held_out.visits)} visits, {self.held_out.count} slices held out; "
            f"weights to begin with: {first_weights(self.training)}"
        )

    @classmethod
    def settled(cls, target: dict[str, Any], settings: FeatureganSettings) -> dict[str, Any]:
        """Weights that are not there are a `UserError`."""
        weights = settings.unet.weights
        if weights != "random" and not Path(weights).is_file():
            raise UserError(f"there is no file {weights}; expected the weights of a U-Net, .npz or .keras")
        return target

    def network(self) -> keras.Model:
        """A U-Net of the settings, with its first random numbers."""
        size, own = self.settings.data.size, self.training
        return unet((size, size), len(self.settings.study.modalities), own.filters, own.kernels)

    def _beginning(self) -> keras.Model:
        """The U-Net that is trained: random, or with the weights of a file."""
        network, own = self.network(), self.training
        if own.weights != "random":
            load_weights(network, Path(own.weights), own.first_channels)
        return network

    def build(self, checkpoints: Path | None = None) -> SupervisedModel:
        """The compiled model; call it inside the strategy's scope."""
        keras.utils.set_random_seed(self.training.seed)
        network = self._beginning()
        self.model = SupervisedModel(network, objective(self.training.loss, self.training.smooth), MEASURES)
        self.model.compile({"network": keras.optimizers.Adam(self.training.learning_rate)}, self.training.jit)
        return self.model

    def steps_per_epoch(self, replicas: int = 1) -> int:
        return pipeline.steps_per_epoch(self.count, self.training.batch_size, replicas > 1)

    def batches(self, position: Position, replicas: int = 1) -> tf.data.Dataset:
        """Batches of z-scored `image` (b, size, size, channels) and `mask` (b, size, size, 1), float32, 0 or 1."""
        ranges = augmentation(self.training.augmentation, self.settings.data.size)
        standard = self.standard  # measured here, not while the graph is traced

        def warp(example, seed):
            image, mask = augment(unit(example["image"]), example["mask"], seed, ranges)
            return {"image": image, "mask": mask}

        def finish(batch):
            return {"image": standard.standardise(batch["image"]), "mask": tf.cast(batch["mask"], tf.float32)}

        return pipeline.training_batches(
            self.learnt.examples(),
            self.count,
            self.training.batch_size,
            self.training.seed,
            first_epoch=position.epoch,
            skip=position.step,
            drop_remainder=replicas > 1,
            augment=warp,
            finish=finish,
        )

    def callbacks(self, folder: Path, quiet: bool, replicas: int) -> Sequence[keras.callbacks.Callback]:
        """Validation, sample pictures, history.csv and the progress bar, in this order."""
        own = self.training
        columns = [*MEASURES, *(f"validation_{name}" for name in MEASURES), CHOSEN_BY]
        predict = predictor(self.model.network, own.smooth)
        shown = {"loss": "loss", "dice": "Dice", "validation_dice": "held out"}
        return [
            Every(own.validate_every, own.epochs, lambda epoch: self.validate(predict)),
            Every(own.sample_every, own.epochs, lambda epoch: self.draw(self._sample(folder, epoch), predict, epoch)),
            History(folder / "history.csv", columns),
            *([] if quiet else [Progress(own.epochs, self.steps_per_epoch(replicas), shown)]),
        ]

    def validate(self, predict) -> dict[str, float]:
        """The measures of an epoch as means over the slices of `study.validate_on`, and IoU over its patients too."""
        found = self.measured(predict, self.validation)
        whole = by_patient(found["counts"], self.validation.patients)
        return {f"validation_{name}": float(found[name].mean()) for name in MEASURES} | {
            CHOSEN_BY: float(whole["iou"].mean())
        }

    def measured(self, predict, slices: Slices) -> dict[str, np.ndarray]:
        """loss, dice and iou of each slice, (n,), and `counts` (n, 3): true, predicted and common pixels."""
        found: dict[str, list[np.ndarray]] = {name: [] for name in (*MEASURES, "counts")}
        for image, mask in slices.batches():
            probability, loss = predict(self.standard.standardise(image), mask)
            predicted = probability > 0.5
            found["loss"].append(loss)
            found["dice"].append(hard_dice(predicted, mask))
            found["iou"].append(iou(predicted, mask))
            found["counts"].append(np.stack([each.sum((1, 2)) for each in (mask, predicted, mask & predicted)], axis=1))
        return {name: np.concatenate(values) for name, values in found.items()}

    def _sample(self, folder: Path, epoch: int) -> Path:
        return folder / "samples" / f"epoch_{epoch:04d}.png"

    def draw(self, path: Path, predict, epochs: int) -> None:
        """Held-out slices with the largest tumours of as many patients, as in Figure 7."""
        rows = []
        for visit in self.held_out.visits[:: max(1, len(self.held_out.visits) // SAMPLES)][:SAMPLES]:
            place = int(np.argmax([pixels for _, _, pixels in visit.slices]))
            own = Slices(self.prepared, [visit], self.held_out.modalities)
            image, mask = next(own.batches(1, place))
            probability, _ = predict(self.standard.standardise(image), mask)
            rows.append(
                SegmentedSlice(f"slice {visit.slices[place][1]}", 2 * image[0, ..., 0] - 1, mask[0], probability[0])
            )
        shown, steps = DISPLAY[self.held_out.modalities[0]], epochs * self.steps_per_epoch()
        trained = f"U-Net after {steps} steps of {self.training.batch_size} slices"
        segmentation_grid(path, rows, f"{trained}; {self.prepared.manifest.origin}, {shown} of held-out patients")

    def finish(self, folder: Path) -> str:
        """Deliver unet.keras, standard.json, metrics.json, quality.md and figure7.png; returns the table."""
        network, kept = self.network(), folder / "checkpoints" / f"{self.training.keep}.npz"
        checkpoint.restore_network(network, kept, "network/0")
        with written_aside(folder / NETWORK) as aside:
            network.save(aside)
        write_text(folder / STANDARD, self.standard.model_dump_json())
        predict = predictor(network, self.training.smooth)
        self.draw(folder / "figure7.png", predict, checkpoint.position_of(kept).epoch)
        held_out = self.measured(predict, self.held_out)
        history = read_history(folder / "history.csv")
        best = {
            subset: {name: _best(name, history[f"{prefix}{name}"]) for name in MEASURES}
            for subset, prefix in (("training", ""), ("validation", "validation_"))
        }
        patients = by_patient(held_out["counts"], self.held_out.patients)
        delivered = {name: float(held_out[name].mean()) for name in MEASURES}
        with_tumour = held_out["counts"][:, 0] > 0
        metrics = {
            "data": self.prepared.manifest.origin,
            "best": best,
            "delivered": delivered,
            "blind": not bool(held_out["counts"][:, 1].any()),
            "chosen_on_held_out": self.training.keep == "best" and self.settings.study.validate_on == "test",
            "slices_with_tumour": {name: float(held_out[name][with_tumour].mean()) for name in MEASURES},
            "patients": {name: [float(each.mean()), float(each.std())] for name, each in patients.items()},
        }
        write_text(folder / "metrics.json", json.dumps(metrics, indent=1))
        table = quality_table(metrics, len(next(iter(patients.values()))), self.training)
        table += "".join(f"\n\n{note}" for note in cautions(metrics))
        write_text(folder / "quality.md", f"Data: {self.prepared.manifest.origin}\n\n{table}\n")
        return table


def cautions(metrics: dict[str, Any]) -> list[str]:
    """What to mind in reading a run's metrics.json; one of an older run does not say what its epoch was chosen on."""
    known = ((BLIND, metrics["blind"]), (CHOSEN, metrics.get("chosen_on_held_out")))
    return [note for note, holds in known if holds]


def first_weights(settings: UnetSettings) -> str:
    """The weights that a U-Net begins with: random, or the name of their file."""
    return Path(settings.weights).name


def best_epochs(best: dict[str, dict[str, float]], name: str, loss: str) -> list[str]:
    """A measure at its best epoch of training and at that of validation, where `loss` was trained with."""
    training, validation = (f"{best[subset][name]:.3f}" for subset in ("training", "validation"))
    other = name == "loss" and loss != "soft_dice"
    return [f"{training} ({NAMES[loss]})" if other else training, validation]


def quality_table(metrics: dict[str, Any], patients: int, settings: UnetSettings) -> str:
    """Table 2: the best epoch of each measure, and the network that is delivered."""
    names = {"loss": "soft Dice loss", "dice": "hard Dice", "iou": "IoU"}
    rows = []
    for name, shown in names.items():
        whole = metrics["patients"].get(name)
        rows.append(
            [
                shown,
                *best_epochs(metrics["best"], name, settings.loss),
                f"{metrics['delivered'][name]:.3f}",
                f"{metrics['slices_with_tumour'][name]:.3f}",
                f"{whole[0]:.3f} ({whole[1]:.3f})" if whole else "–",
            ]
        )
    header = ["measure", "best, training", "best, validation", "delivered", "slices with tumour", "per patient (SD)"]
    values = " and ".join(map(str, published.TABLE_2))
    return (
        f"{markdown(header, rows)}\n\nBest epochs of each measure, the delivered network on held-out slices, on those "
        f"with tumour, and on the {patients} held-out patients as volumes; weights to begin with: "
        f"{first_weights(settings)}. A slice without tumour counts 1 where none "
        f"is predicted, else 0. Mehra et al., Table 2: {values} survive in the text without the names of their rows."
    )


def objective(loss: str, smooth: float):
    """The loss, hard Dice and IoU of a batch, for a `SupervisedModel`."""

    def of(network, batch):
        probability, mask = network(batch["image"], training=True), batch["mask"]
        predicted = tf.cast(probability > 0.5, tf.float32)
        common, union = (tf.reduce_sum(each, (1, 2, 3)) for each in (predicted * mask, tf.maximum(predicted, mask)))
        empty = tf.cast(union == 0, tf.float32)  # as in `metrics.overlap`, 0 / 0 is right
        return {
            "loss": LOSSES[loss](probability, mask, smooth),
            "dice": tf.reduce_mean((2 * common + empty) / (common + union + empty)),
            "iou": tf.reduce_mean((common + empty) / (union + empty)),
        }

    return of


def augmentation(table: AugmentationSettings, size: int) -> Augmentation:
    """Table 1 for slices of `size` pixels: the same distortion as of 240, see `warping.elastic_displacement`."""
    scale = size / PUBLISHED_SIZE
    scaled = {"elastic_alpha": table.elastic_alpha * scale**2, "elastic_sigma": table.elastic_sigma * scale}
    return Augmentation(**table.model_dump() | scaled)


def predictor(network: keras.Model, smooth: float):
    """A function from z-scored images (n, size, size, c) and masks (n, size, size) to probability and soft Dice loss.

    Both float32, (n, size, size) and (n,), in one traced graph of any batch size.
    """
    size = network.input_shape[1:]

    def run(image, mask):
        probability = network(image, training=False)
        return probability[..., 0], losses.soft_dice_of_each(probability, mask[..., None], smooth)

    # The concrete function: TensorFlow warns of many traced functions from one line, and each network needs its own.
    call = tf.function(run).get_concrete_function(
        tf.TensorSpec((None, *size), tf.float32), tf.TensorSpec((None, *size[:2]), tf.bool)
    )

    def predict(image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        probability, loss = call(tf.constant(image, tf.float32), tf.constant(mask))
        return probability.numpy(), loss.numpy()

    return predict


def by_patient(counts: np.ndarray, patients: np.ndarray) -> dict[str, np.ndarray]:
    """Dice and IoU of each patient's volume, from pixels (n, 3) true, predicted and common per slice.

    1 where there is no tumour and none is predicted, as in `metrics.overlap`.
    """
    whole = np.stack([counts[patients == name].sum(axis=0) for name in dict.fromkeys(patients)]).astype(float)
    true, predicted, common = whole.T
    empty = true + predicted == 0
    return {
        "dice": (2 * common + empty) / (true + predicted + empty),
        "iou": (common + empty) / (true + predicted - common + empty),
    }


def _best(name: str, values: np.ndarray) -> float:
    return float(np.nanmin(values) if name == "loss" else np.nanmax(values))
