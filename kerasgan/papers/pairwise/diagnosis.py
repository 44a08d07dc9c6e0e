"""From a classifier's slices to its patients (Ge 2020, II-C, eq. 6), and what a run reports of them."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kerasgan.data.modalities import DISPLAY
from kerasgan.files import write_text
from kerasgan.metrics.classification import MEASURES, Confusion, bootstrap, patient_vote, roc_curve, summarise
from kerasgan.papers.pairwise import interpretation, published
from kerasgan.papers.pairwise.settings import ClassifierSettings, PairwiseSettings
from kerasgan.report import classification as pictures
from kerasgan.report.tables import NO_INTERVAL, between, markdown

BATCH = 16


@dataclass(frozen=True)
class Predictions:
    """Of n slices: the probability of the positive class, and the attention (n, modalities), rows adding up to 1."""

    probability: np.ndarray
    attention: np.ndarray


@dataclass(frozen=True)
class Level:
    """Slices or patients: true class, score and decision of each, and whose they are."""

    names: list[str]
    patients: np.ndarray
    truth: np.ndarray
    score: np.ndarray
    decision: np.ndarray


def predictor(network: keras.Model, settings: ClassifierSettings) -> Callable[[Mapping[str, np.ndarray]], Predictions]:
    """A function from slices (n, size, size, 1) per modality to predictions, batch by batch, in one traced graph.

    With `settings.flipped_too`, the mean over each slice and its mirror image.
    """
    names = list(network.input)
    signature = {name: tf.TensorSpec(network.input[name].shape, tf.float32) for name in names}

    def run(images: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        out = network(images, training=False)
        return tf.nn.softmax(out["logits"])[:, 1], out["attention"]

    # The concrete function: TensorFlow warns of many traced functions from one line, and each network needs its own.
    call = tf.function(run).get_concrete_function(signature)

    def forward(images: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        starts = range(0, len(images[names[0]]), BATCH)
        found = [call({name: tf.constant(images[name][i : i + BATCH]) for name in names}) for i in starts]
        return [np.concatenate([part.numpy() for part in parts]) for parts in zip(*found, strict=True)]

    def predict(images: Mapping[str, np.ndarray]) -> Predictions:
        if not settings.flipped_too:
            return Predictions(*forward(images))
        both = forward(images), forward({name: images[name][:, :, ::-1] for name in names})
        return Predictions(*(np.mean(pair, axis=0) for pair in zip(*both, strict=True)))

    return predict


def levels(predictions: Predictions, subset, settings: ClassifierSettings) -> dict[str, Level]:
    """The slices of a `classifier.Subset` and, by the vote, its patients."""
    probability = predictions.probability
    names = [f"{visit} {view} {index}" for visit, view, index, _ in subset.places]
    slices = Level(names, subset.patients, subset.labels, probability, (probability > 0.5).astype(int))
    patients, score, decision = patient_vote(probability, subset.patients, settings.vote)
    truth = {patient: label for patient, label in zip(subset.patients.tolist(), subset.labels.tolist(), strict=True)}
    by_patient = np.array([truth[patient] for patient in patients])
    return {"slices": slices, "patients": Level(list(patients), np.array(patients), by_patient, score, decision)}


def measure(predictions: Predictions, subset, settings: ClassifierSettings) -> dict[str, float]:
    """What an epoch's validation logs: loss and accuracy of the slices (unweighted), accuracy of the patients."""
    found = levels(predictions, subset, settings)
    own = np.where(subset.labels == 1, predictions.probability, 1 - predictions.probability)
    return {
        "validation_loss": float(-np.log(np.maximum(own, 1e-7)).mean()),
        "validation_accuracy": float((found["slices"].decision == found["slices"].truth).mean()),
        "validation_patient_accuracy": float((found["patients"].decision == found["patients"].truth).mean()),
    }


def report(
    folder: Path,
    network: keras.Model,
    subsets: Mapping[str, object],
    settings: PairwiseSettings,
    origin: str,
    method: str,
) -> str:
    """Write predictions, metrics and pictures of a finished classifier into its run's folder; returns the table.

    `method` is the paper's name for what was trained, whose published row stands in the table.

    predictions.csv and patients.csv (every slice and patient of validation and test), metrics.json, quality.md,
    evaluation.png (confusion, ROC), attention.png (weight per modality and class), gradcam.png (a test patient).
    """
    classifier, modalities = settings.classifier, tuple(network.input)
    predict = predictor(network, classifier)
    metrics: dict[str, object] = {"data": origin, "classes": {"0": classifier.negative, "1": classifier.positive}}
    tables: dict[str, list[dict]] = {"predictions": [], "patients": []}
    for name, subset in subsets.items():
        arrays = subset.arrays()
        predictions = predict(arrays)
        found = levels(predictions, subset, classifier)
        metrics[name] = {level: evaluate(value, settings) for level, value in found.items()} | {
            "attention": attention_by_class(predictions, subset, modalities, classifier)
        }
        tables["predictions"] += [{"subset": name} | row for row in _slice_rows(subset, predictions, modalities)]
        tables["patients"] += [{"subset": name} | row for row in _patient_rows(found["patients"])]
    for name, rows in tables.items():
        write_csv(folder / f"{name}.csv", rows)
    write_text(folder / "metrics.json", json.dumps(metrics, indent=1))
    other = classifier.mask_background == 1 and method != published.UNMASKED  # the paper has no such row
    table = quality_table(metrics, settings.evaluation.confidence, method, " with mask" if other else "")
    write_text(folder / "quality.md", f"Data: {origin}\n\n{table}\n")
    _draw(folder, network, arrays, predictions, subset, found, settings, origin)  # of the last subset, the test set
    return table


def _slice_rows(subset, predictions: Predictions, modalities: tuple[str, ...]) -> list[dict[str, object]]:
    rows = zip(
        subset.places, subset.patients, subset.labels, predictions.probability, predictions.attention, strict=True
    )
    return [
        {"patient": patient, "visit": visit, "view": view, "slice": index, "truth": int(label)}
        | {"probability": f"{probability:.6f}"}
        | {f"attention_{modality}": f"{a:.4f}" for modality, a in zip(modalities, attention, strict=True)}
        for (visit, view, index, _), patient, label, probability, attention in rows
    ]


def _patient_rows(patients: Level) -> list[dict[str, object]]:
    rows = zip(patients.names, patients.truth, patients.score, patients.decision, strict=True)
    return [
        {"patient": name, "truth": int(truth), "score": f"{score:.6f}", "decision": int(decision)}
        for name, truth, score, decision in rows
    ]


def evaluate(level: Level, settings: PairwiseSettings) -> dict[str, object]:
    """Each measure with its bootstrap interval over patients, and the confusion matrix."""
    chosen, confusion = settings.evaluation, Confusion.of(level.truth, level.decision)
    values = summarise(level.truth, level.score, level.decision)
    intervals = bootstrap(
        level.truth, level.score, level.decision, level.patients, chosen.bootstrap, chosen.confidence, chosen.seed
    )
    return values | {
        "interval": {name: list(map(float, intervals[name])) for name in MEASURES},
        "confusion": {"tp": confusion.tp, "fn": confusion.fn, "fp": confusion.fp, "tn": confusion.tn},
    }


def attention_by_class(
    predictions: Predictions, subset, modalities: tuple[str, ...], settings: ClassifierSettings
) -> dict[str, dict[str, float]]:
    """The mean attention weight (eq. 7) of each modality over the slices of each class."""
    names = (settings.negative, settings.positive)
    means = {name: predictions.attention[subset.labels == k].mean(axis=0) for k, name in enumerate(names)}
    return {name: dict(zip(modalities, map(float, mean), strict=True)) for name, mean in means.items()}


def quality_table(metrics: Mapping, confidence: float, method: str, unlike: str = "") -> str:
    """The measures of a run as Markdown, per cent with intervals, and the published row of its method.

    `unlike` says in what that differs from the run.
    """
    rows = []
    for subset in ("validation", "test"):
        for level in ("slices", "patients"):
            found = metrics[subset][level]
            cells = []
            for name in MEASURES:
                interval = between(*(100 * end for end in found["interval"][name]), 1)
                cells.append(f"{100 * found[name]:.1f} ({interval})")
            rows.append([f"{subset}, {found['n']} {level}", *cells, f"{100 * found['majority_rate']:.1f}"])
    printed = [f"{mean:.2f} ({std:.2f})" for mean, std in published.MEANS[method].values()]
    rows.append([f"Ge 2020, {method}{unlike}, test patients, 5 runs (std)", *printed, "–", "–", "67.6"])
    names = [name.replace("_", " ") for name in MEASURES]
    table = markdown([f"% ({100 * confidence:g} % interval)", *names, "majority rate"], rows)
    return f"{table}\n\n{NO_INTERVAL}" if any("(–)" in cell for row in rows for cell in row) else table


def write_csv(path: Path, rows: list[dict]) -> None:
    """Rows of equal keys as CSV, written whole."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _draw(folder, network, arrays, predictions, subset, found, settings: PairwiseSettings, origin: str) -> None:
    classifier = settings.classifier
    names = (classifier.negative, classifier.positive)
    pictures.confusion_and_roc(
        folder / "evaluation.png",
        {level: Confusion.of(value.truth, value.decision) for level, value in found.items()},
        {
            level: (*roc_curve(value.truth, value.score), summarise(value.truth, value.score, value.decision)["auc"])
            for level, value in found.items()
        },
        names,
        f"{origin}, test",
    )
    by_class = {name: predictions.attention[subset.labels == k] for k, name in enumerate(names)}
    modalities = tuple(network.input)
    shown = [DISPLAY[name] for name in modalities]
    pictures.attention_by_class(folder / "attention.png", by_class, shown, f"attention (eq. 7), {origin}, test")
    # The patient of whom the classifier is surest among those it got right, of the positive class if there is one.
    by_patient = found["patients"]
    right = by_patient.decision == by_patient.truth
    rank = 2.0 * right + by_patient.truth + np.abs(by_patient.score - 0.5)
    patient = by_patient.names[int(np.argmax(rank))]
    chosen = np.flatnonzero(subset.patients == patient)[:8]
    images = {name: arrays[name][chosen] for name in modalities}
    maps = interpretation.gradcam(network, images)
    captions = [
        f"{subset.places[i][1]} {subset.places[i][2]}\n{classifier.positive} {predictions.probability[i]:.2f}"
        for i in chosen
    ]
    truth, decision = (
        names[int(values[by_patient.names.index(patient)])] for values in (by_patient.truth, by_patient.decision)
    )
    pictures.gradcam_sheet(
        folder / "gradcam.png",
        {DISPLAY[name]: images[name][..., 0] for name in modalities},
        {DISPLAY[name]: maps[name] for name in modalities},
        arrays["tumour"][chosen],
        captions,
        f"Grad-CAM of {classifier.positive!r}: {patient}, {truth}, judged {decision}; {origin}, test",
    )
