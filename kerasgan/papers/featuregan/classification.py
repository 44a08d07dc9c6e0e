"""The classifier that says whether generated features help (Mehra et al., 3.3 and 4.2.4).

Where to read: feature_classifier.py (the network, the linear baseline), this module (a run: real features, and the
synthetic ones that are added); numbers: the section `feature_classifier` of configs/featuregan.yaml. arXiv 2209.14097.

Command:   kerasgan train feature-classifier --features features/
Published: accuracy of HGG 0.95, LGG 0.05, all 0.61 on test slices; with 1158 synthetic features whose class the
discriminator tells right 0.569, 0.384, 0.524 (Table 3).

Deviations: features are standardised per channel by the training features, of which the paper says nothing. What it
leaves open is marked `assumed` in the YAML; the last epoch's network is judged, not the best on the test set.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from kerasgan.data import pipeline
from kerasgan.errors import UserError
from kerasgan.files import write_text, written_aside
from kerasgan.gan import checkpoint
from kerasgan.gan.callbacks import Every, History, Progress
from kerasgan.gan.checkpoint import Position
from kerasgan.gan.supervised import SupervisedModel
from kerasgan.metrics.classification import roc_auc
from kerasgan.papers.featuregan import published
from kerasgan.papers.featuregan.feature_classifier import (
    accuracies,
    classifier,
    downsampled,
    linear,
    objective,
    probability,
)
from kerasgan.papers.featuregan.labels import labels_of, labels_of_both
from kerasgan.papers.featuregan.reading import Joined, batches_in_order, batches_of
from kerasgan.papers.featuregan.settings import FeatureClassifierSettings, FeatureganSettings
from kerasgan.papers.featuregan.store import FeatureStore, open_features
from kerasgan.papers.featuregan.synthesis import SUBSET
from kerasgan.papers.task import OneStage
from kerasgan.report.tables import markdown

CLASSIFIER = "classifier.keras"  # what a run leaves
BATCH = 32  # features that are classified at once
# Measures that the paper does not have, as tables name them; chance is 0.5.
OURS = {"balanced": "balanced", "auc": "AUC, slices", "patient_auc": "AUC, patients"}


class FeatureClassifierTask(OneStage):
    """Trains the classifier on the real training features and a number of synthetic ones."""

    pictures: ClassVar = {}

    @staticmethod
    def target(synthetic: str | Path | None = None, count: int | None = None) -> dict[str, Any]:
        """The folder of synthetic features and how many of them are added; None: no folder, or all of its features.

        Nothing is said of a count without folder, so that a run is resumed without its words.
        """
        if synthetic is None:
            if count:
                raise UserError(f"{count} synthetic features are to be added: give their folder with --synthetic")
            return {"synthetic": None, "synthetic_hash": None, "count": None}
        store = open_features(Path(synthetic))
        return {
            "synthetic": str(store.folder.resolve()),
            "synthetic_hash": store.hash,
            "count": store.count if count is None else count,
        }

    @staticmethod
    def run_name(target: dict[str, Any], settings: FeatureganSettings) -> str:
        """The default name of a run's folder."""
        return f"synthetic-{target['count']}" if target["synthetic"] else "baseline"

    @staticmethod
    def title(target: dict[str, Any]) -> str:
        """What is trained, in words."""
        added = (
            f"{target['count']} synthetic features of {Path(target['synthetic']).name}" if target["synthetic"] else ""
        )
        return f"feature classifier, {f'with {added}' if added else 'baseline'}"

    def __init__(self, settings: FeatureganSettings, prepared: FeatureStore, target: dict[str, Any]):
        self.settings, self.prepared, self.added = settings, prepared, target["count"] or 0
        self.labels = labels_of_both(prepared, settings.study, "train")
        self.indices = prepared.indices("train")
        self.held_out = prepared.indices("test")
        self.truth = labels_of_both(prepared, settings.study, "test")[self.held_out]
        self.standard = prepared.manifest.channels["train"]
        self.store: FeatureStore | Joined = prepared
        if target["synthetic"]:
            self._add(open_features(Path(target["synthetic"])), target["synthetic_hash"])
        self.count = len(self.indices)
        self.network()  # features too small for it are found out before there is a run's folder

    @property
    def added_by_class(self) -> dict[str, int]:
        """How many synthetic features of each class are added."""
        added = self.labels[self.indices[self.indices >= self.prepared.count]]
        return {name: int((added == k).sum()) for k, name in enumerate(self.settings.study.classes)}

    def _add(self, synthetic: FeatureStore, known: str) -> None:
        """The first synthetic features of the classes that are added."""
        if synthetic.hash != known:
            raise UserError(f"{synthetic.folder} has been made anew since the run began; begin a new run")
        refuse_other_features(synthetic, self.prepared)
        own, study = self.settings.feature_classifier, self.settings.study
        labels = labels_of(synthetic, study, SUBSET)
        allowed = (0, 1) if own.added == "both" else (int(own.added == "positive"),)
        usable = np.flatnonzero(np.isin(labels, allowed))
        if self.added > len(usable):
            raise UserError(
                f"{synthetic.folder} has {len(usable)} features of the classes to add, {self.added} are wanted; "
                "generate more (`kerasgan features generate --count`), or add fewer"
            )
        self.indices = np.concatenate([self.indices, self.prepared.count + usable[: self.added]])
        self.labels = np.concatenate([self.labels, labels])
        self.store = Joined(self.prepared, synthetic)

    @property
    def training(self) -> FeatureClassifierSettings:
        return self.settings.feature_classifier

    @property
    def panels(self) -> dict[str, list[str]]:
        """Of the curves in the report."""
        return {
            "loss": ["loss"],
            "accuracy in training and on test slices": ["accuracy", "test_total", "test_balanced"],
            "accuracy per class": [f"test_{name}" for name in self.settings.study.classes],
        }

    def describe(self) -> str:
        """Features per class, for the user."""
        each = [
            f"{np.sum(self.labels[self.indices] == k)} {name}" for k, name in enumerate(self.settings.study.classes)
        ]
        return (
            f"{self.prepared.manifest.origin}: {' and '.join(each)} features to learn, {self.added} of them synthetic "
            f"({_counted(self.added_by_class)}); {len(self.held_out)} real ones held out"
        )

    def network(self) -> keras.Model:
        """The classifier of the settings."""
        own = self.training
        return classifier(
            self.prepared.shape, filters=own.filters, dense=own.dense, dropout=own.dropout, momentum=own.momentum
        )

    def build(self, checkpoints: Path | None = None) -> SupervisedModel:
        """The compiled model; call it inside the strategy's scope."""
        keras.utils.set_random_seed(self.training.seed)
        self.model = SupervisedModel(self.network(), objective, ("loss", "accuracy"))
        self.model.compile({"network": keras.optimizers.Adam(self.training.learning_rate)}, self.training.jit)
        return self.model

    def steps_per_epoch(self, replicas: int = 1) -> int:
        return pipeline.steps_per_epoch(self.count, self.training.batch_size, replicas > 1)

    def batches(self, position: Position, replicas: int = 1) -> tf.data.Dataset:
        """Batches of standardised `feature` (b, h, w, c) and `label` (b,), read from disk."""
        labels = tf.constant(self.labels)
        stream = batches_of(
            self.store,
            self.indices,
            self.training.batch_size,
            self.training.seed,
            first_epoch=position.epoch,
            skip=position.step,
            drop_remainder=replicas > 1,
        )
        return stream.map(
            lambda batch: {
                "feature": self.standard.standardise(batch["features"]),
                "label": tf.gather(labels, batch["index"]),
            }
        )

    def callbacks(self, folder: Path, quiet: bool, replicas: int) -> Sequence[keras.callbacks.Callback]:
        """Accuracies on held-out features, history.csv and the progress bar, in this order."""
        names = [f"test_{name}" for name in (*self.settings.study.classes, "total", "balanced")]
        predict = self.predictor(self.model.network)
        shown = {"loss": "loss", "test_total": "held out", "test_balanced": "balanced"}
        return [
            Every(1, self.epochs, lambda epoch: self.validate(predict)),
            History(folder / "history.csv", ["loss", "accuracy", *names]),
            *([] if quiet else [Progress(self.epochs, self.steps_per_epoch(replicas), shown)]),
        ]

    def validate(self, predict) -> dict[str, float]:
        """Accuracies of an epoch on the held-out features, those of the classes by their names."""
        found = accuracies(self.truth, (predict() > 0.5).astype(int))
        named = {f"class{label}": name for label, name in enumerate(self.settings.study.classes)}
        return {f"test_{named.get(name, name)}": value for name, value in found.items()}

    def predictor(self, network: keras.Model):
        """A function that gives the probability of class 1 of each held-out feature, (n,), in one traced graph."""
        call = tf.function(
            lambda features: probability(network, self.standard.standardise(features))
        ).get_concrete_function(tf.TensorSpec((None, *self.prepared.shape), tf.float32))
        batches = batches_in_order(self.prepared, self.held_out, BATCH)
        return lambda: np.concatenate([call(batch["features"]).numpy() for batch in batches])

    def finish(self, folder: Path) -> str:
        """Deliver classifier.keras, predictions.csv, metrics.json and quality.md; returns the table."""
        network = self.network()
        checkpoint.restore_network(network, folder / "checkpoints" / "latest.npz", "network/0")
        with written_aside(folder / CLASSIFIER) as aside:
            network.save(aside)
        found = self.predictor(network)()
        self._write_predictions(folder, found)
        metrics = {
            "data": self.prepared.manifest.origin,
            "count": self.added,
            "added": self.added_by_class,
            "patients": len({self.prepared.extraction.slices[index].patient for index in self.held_out}),
            "held_out": {name: int((self.truth == k).sum()) for k, name in enumerate(self.settings.study.classes)},
            "network": self.measured(found),
        }
        if not self.added:
            metrics["linear"] = self.linear_baseline()
        write_text(folder / "metrics.json", json.dumps(metrics, indent=1))
        table = accuracy_table(metrics, self.settings)
        write_text(folder / "quality.md", f"Data: {self.prepared.about}\n\n{table}\n")
        return table

    def measured(self, score: np.ndarray) -> dict[str, float]:
        """Accuracies of the held-out slices' probabilities (n,), and the AUC of slices and of patients' means."""
        patients = [self.prepared.extraction.slices[index].patient for index in self.held_out]
        whose = np.unique(patients, return_inverse=True)[1]
        count = np.bincount(whose)
        means, truth = (np.bincount(whose, values) / count for values in (score, self.truth))
        auc = {"auc": roc_auc(self.truth, score), "patient_auc": roc_auc(truth.astype(int), means)}
        return accuracies(self.truth, (score > 0.5).astype(int)) | auc

    def linear_baseline(self) -> dict[str, float]:
        """Measures of the linear classifier on down-sampled real features."""
        own = self.settings.linear

        def values(indices: np.ndarray) -> np.ndarray:
            batches = batches_in_order(self.prepared, indices, BATCH)
            return np.concatenate([downsampled(batch["features"].numpy(), own.grid) for batch in batches])

        train = self.prepared.indices("train")
        fitted = linear(values(train), self.labels[train], own.inverse_penalty)
        return self.measured(fitted.predict_proba(values(self.held_out))[:, 1])

    def _write_predictions(self, folder: Path, found: np.ndarray) -> None:
        """predictions.csv: each held-out slice, its patient, class and the probability of class 1."""
        text, study = io.StringIO(), self.settings.study
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["slice", "patient", study.label, f"probability of {study.positive}"])
        for index, value in zip(self.held_out, found, strict=True):
            piece = self.prepared.extraction.slices[index]
            writer.writerow([piece.name, piece.patient, piece.label, f"{value:.6f}"])
        write_text(folder / "predictions.csv", text.getvalue())


def refuse_other_features(synthetic: FeatureStore, real: FeatureStore) -> None:
    """UserError unless synthetic features were made by an AC-GAN that has learnt these real ones."""
    if synthetic.extraction.block != real.extraction.block:
        raise UserError(
            f"{synthetic.folder} holds features of {synthetic.extraction.block}, {real.folder} of "
            f"{real.extraction.block}; generate them with an AC-GAN that was trained on {real.folder}"
        )
    if synthetic.extraction.data != real.hash:
        raise UserError(
            f"{synthetic.folder} was not generated from {real.folder}: another U-Net, data set or precision; generate "
            f"them with an AC-GAN that was trained on {real.folder}"
        )


def accuracy_table(metrics: dict[str, Any], settings: FeatureganSettings) -> str:
    """Accuracies per class beside Table 3's."""
    order = ("class1", "class0", "total")
    names = {"network": "classifier", "linear": "linear, down-sampled features"}
    rows = [
        [shown, *(f"{metrics[key][name]:.3f}" for name in (*order, *OURS))]
        for key, shown in names.items()
        if key in metrics
    ]
    if metrics["count"] in published.TABLE_3:
        rows.append(["Mehra et al., Table 3", *map(str, published.TABLE_3[metrics["count"]]), *["–"] * len(OURS)])
    study = settings.study
    return (
        f"{markdown(['accuracy', study.positive, study.negative, 'total', *OURS.values()], rows)}\n\n"
        f"With {metrics['count']} synthetic features ({_counted(metrics['added'])}), on "
        f"{_counted(metrics['held_out'])} real held-out slices of {metrics['patients']} patients."
    )


def _counted(numbers: Mapping[str, int]) -> str:
    return " and ".join(f"{count} {name}" for name, count in numbers.items())
