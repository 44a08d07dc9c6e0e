"""The four-stream IDH classifier of Ge 2020 and its training in two stages (II-D, III-A1, Figure 5).

Where to read: fusion.py (eq. 7, bilinear layer), streams.py (Figure 5), this module (a run: stages, schedule, class
weights), diagnosis.py (eq. 6, what is measured on patients), interpretation.py (Grad-CAM); numbers: the section
`classifier` of configs/pairwise.yaml. doi 10.1109/ACCESS.2020.2969805.

Command:   kerasgan train classifier --stage1 enlarged/ --data prepared/
Published: test accuracy 88.82 % (6.37), sensitivity 81.81 % (11.13), specificity 92.17 % (4.77) of 34 patients in five
runs with fake patients, 85.88 % (3.22) without (Tables 2 and 3).

Deviations: the bilinear features H = F'^T F' (II-D1) are divided by the h w pixels of the map. What the paper leaves
open is marked `assumed` in the YAML; beside it, stage 1 learns the synthetic images alone (II-D2: "augmented images"
first, then "the real MRI data"), in case b the patients that were completed by synthetic images with them, and stage 2
and Bas-2 the patients whose images are all real, so that who lost one scan (24 of 99) leaves with the others.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from kerasgan.data import augmentation, pipeline, records
from kerasgan.data.labels import class_of
from kerasgan.data.modalities import DISPLAY
from kerasgan.data.prepare import Prepared
from kerasgan.errors import UserError
from kerasgan.files import written_aside
from kerasgan.gan import checkpoint
from kerasgan.gan.callbacks import Every, History, Progress
from kerasgan.gan.checkpoint import Position
from kerasgan.gan.optimizers import Keras2Adagrad
from kerasgan.gan.settings import TrainingSettings
from kerasgan.gan.supervised import SupervisedModel
from kerasgan.papers.pairwise import diagnosis, streams
from kerasgan.papers.pairwise.cases import modalities_of, removed_scans, training_visits
from kerasgan.papers.pairwise.enlarging import Enlarged, open_enlarged
from kerasgan.papers.pairwise.published import METHODS, UNMASKED
from kerasgan.papers.pairwise.settings import ClassifierSettings, PairwiseSettings, StageSettings
from kerasgan.papers.task import PaperTask

COLUMNS = ("loss", "accuracy", "validation_loss", "validation_accuracy", "validation_patient_accuracy")


class ClassifierTask(PaperTask):
    """Trains the classifier on an enlarged set (`target["stage1"]`), then on the real training slices.

    Without an enlarged set it is the paper's baseline: the real slices under the schedule of stage 1.
    """

    panels: ClassVar = {
        "loss": ["loss", "validation_loss"],
        "accuracy": ["accuracy", "validation_accuracy", "validation_patient_accuracy"],
    }
    pictures: ClassVar = {
        "Test set: confusion and ROC": "evaluation.png",
        "Attention per modality and class (eq. 7)": "attention.png",
        "Grad-CAM of a test patient": "gradcam.png",
    }

    @staticmethod
    def target(stage1: str | Path | None = None) -> dict[str, Any]:
        """What a run is trained on beside its prepared folder, for run.json.

        `stage1` is the folder of an enlarged set, None for the baseline.
        """
        if stage1 is None:
            return {"stage1": None, "stage1_hash": None}
        enlarged = open_enlarged(Path(stage1))
        return {"stage1": str(enlarged.folder.resolve()), "stage1_hash": enlarged.hash}

    @staticmethod
    def title(target: dict[str, Any]) -> str:
        """What is trained, in words."""
        return f"classifier, enlarged by {Path(target['stage1']).name}" if target["stage1"] else "classifier, baseline"

    @staticmethod
    def run_name(target: dict[str, Any], settings: PairwiseSettings) -> str:
        """The default name of a run's folder."""
        return f"{'enlarged' if target['stage1'] else 'baseline'}-{settings.study.case}"

    def __init__(self, settings: PairwiseSettings, prepared: Prepared, target: dict[str, Any]):
        self.settings, self.prepared = settings, prepared
        self.modalities = modalities_of(prepared, settings)
        self.enlarged = open_enlarged(Path(target["stage1"])) if target["stage1"] else None
        if self.enlarged:
            if self.enlarged.hash != target["stage1_hash"]:
                raise UserError(f"{self.enlarged.folder} has been made anew since the run began; begin a new run")
            refuse_other_split(self.enlarged, prepared, settings, self.modalities)
        real = Subset(prepared, training_visits(prepared, settings, self.modalities), self.modalities, settings)
        self.validation = self._held_out("validation")
        self.test = self._held_out("test")
        for what, subset in (("training", real), ("validation", self.validation), ("test", self.test)):
            subset.require_both_classes(what)
        first, second = settings.classifier.stage1, settings.classifier.stage2
        if self.enlarged:
            synthetic = Subset(self.enlarged, self.enlarged.manifest.visits, self.modalities, settings)
            self.stages = (Stage("stage1", self, synthetic, first, None), Stage("stage2", self, real, second, "stage1"))
        else:
            self.stages = (Stage("stage1", self, real, first, None),)

    @property
    def training(self) -> TrainingSettings:
        return self.settings.classifier

    def describe(self) -> str:
        """Which data, the streams, and what each stage learns, for the user."""
        lines = [f"{self.prepared.manifest.origin}, streams: {', '.join(DISPLAY[name] for name in self.modalities)}"]
        for stage in self.stages:
            what = "synthetic" if stage.subset.store is self.enlarged else "real"
            lines.append(f"{stage.name}: {stage.subset.describe()}, {what}")
        lines += [f"validation: {self.validation.describe()}", f"test: {self.test.describe()}"]
        return "; ".join(lines)

    def _held_out(self, subset: str) -> "Subset":
        visits = self.prepared.visits(subset, self.settings.study.partition, self.modalities)
        return Subset(self.prepared, visits, self.modalities, self.settings)

    def finish(self, folder: Path) -> str:
        """Deliver classifier.keras, the predictions, metrics and pictures; returns the table.

        Made from the checkpoint of the last stage's best epoch, as `PairwiseTask.finish`.
        """
        network = streams.classifier(self.modalities, self.settings.data.size, self.settings.classifier.network)
        checkpoint.restore_network(network, folder / "checkpoints" / self.stages[-1].name / "best.npz", "network/0")
        with written_aside(folder / "classifier.keras") as aside:
            network.save(aside)
        subsets = {"validation": self.validation, "test": self.test}
        return diagnosis.report(folder, network, subsets, self.settings, self.prepared.manifest.origin, self._method())

    def _method(self) -> str:
        """The paper's name for such a classifier."""
        proposed, baseline = METHODS[self.settings.study.case]
        if self.enlarged is None:
            return baseline
        return UNMASKED if proposed == "Prop-A" and self.settings.classifier.mask_background == 1 else proposed


class Subset:
    """Labelled slices of some visits of a real or synthetic data set."""

    def __init__(self, store: pipeline.Store, visits: Sequence, modalities: Sequence[str], settings: PairwiseSettings):
        self.store, self.visits, self.modalities, self.settings = store, list(visits), tuple(modalities), settings
        self.patients = np.repeat([visit.patient for visit in visits], [len(visit.slices) for visit in visits])
        labels = [label_of(visit, settings.classifier) for visit in visits]
        self.labels = np.repeat(labels, [len(visit.slices) for visit in visits]).astype(np.int32)
        self.places = [(visit.name, *place) for visit in visits for place in visit.slices]

    @property
    def count(self) -> int:
        return len(self.labels)

    def require_both_classes(self, what: str) -> None:
        """A subset with one class measures, and teaches, nothing."""
        if len(set(self.labels.tolist())) < 2:
            classifier = self.settings.classifier
            only = classifier.positive if self.labels[0] else classifier.negative
            raise UserError(
                f"{self.store.folder}: every {what} patient of partition {self.settings.study.partition} is {only}; "
                f"both classes are needed: stratify the split by the label (--set split.stratify={classifier.label} "
                "when preparing), or add patients"
            )

    def describe(self) -> str:
        """Patients (synthetic ones counted each) and slices per class."""
        classifier = self.settings.classifier
        names = (classifier.negative, classifier.positive)
        by_class = [
            f"{sum(label_of(v, classifier) == k for v in self.visits)} {name} / {int((self.labels == k).sum())} slices"
            for k, name in enumerate(names)
        ]
        return ", ".join(by_class)

    def arrays(self) -> dict[str, np.ndarray]:
        """Every slice in memory as the network takes it: see `enhance`; and `tumour` (n, size, size) bool."""
        arrays = pipeline.arrays_of(self.store, self.visits, self.modalities)
        tumour = arrays["tumour"][..., None]
        background = self.settings.classifier.mask_background
        enhanced = {name: enhance(arrays[name][..., None], tumour, background) for name in self.modalities}
        return {name: np.asarray(image, np.float32) for name, image in enhanced.items()} | {"tumour": tumour[..., 0]}


def enhance(image, tumour, background: float):
    """Tumour mask enhancement (III-A2, Table 5): the image's intensity above black, weighted by 1 or `background`.

    Images in [-1, 1], where -1 is black; arrays or tensors of one shape. Table 5 compares with `background` 1.
    """
    weight = background + (1 - background) * (tf.cast(tumour, tf.float32) if tf.is_tensor(tumour) else tumour)
    return (image + 1) * weight - 1


def label_of(visit, classifier: ClassifierSettings) -> int:
    """1 for the positive class, 0 for the negative; any other value, or none, is a `UserError`."""
    return class_of(visit, classifier, "classifier")


def refuse_other_split(
    enlarged: Enlarged, prepared: Prepared, settings: PairwiseSettings, modalities: Sequence[str]
) -> None:
    """An enlarged set may only be used with the split, run and case that it was made from."""
    manifest = enlarged.manifest
    if manifest.data != prepared.hash:
        raise UserError(
            f"{enlarged.folder} was made from another data set or split than {prepared.folder}: its patients may be "
            "in this one's validation or test set; make it anew by `kerasgan enlarge --data` with this one"
        )
    if (manifest.partition, manifest.case) != (settings.study.partition, settings.study.case):
        raise UserError(
            f"{enlarged.folder} was made for case {manifest.case} of partition {manifest.partition}, not for case "
            f"{settings.study.case} of partition {settings.study.partition}; give --set study.case={manifest.case} "
            f"--set study.partition={manifest.partition}"
        )
    if manifest.removed != removed_scans(prepared, settings):
        raise UserError(
            f"{enlarged.folder} was made with other scans removed than study.removed and classifier.modalities say: "
            "make it anew by `kerasgan enlarge`, or give the settings that it was made with"
        )
    if lacking := set(modalities) - set(manifest.modalities):
        raise UserError(f"{enlarged.folder} has no {', '.join(sorted(lacking))}; make it anew by `kerasgan enlarge`")


class Stage:
    """One stage of a run: its slices, its rates, and from which stage's best weights it begins."""

    monitor = "score"

    def __init__(self, name: str, task: ClassifierTask, subset: Subset, schedule: StageSettings, after: str | None):
        self.name, self.task, self.subset, self.schedule, self.after = name, task, subset, schedule, after
        self.classifier = task.settings.classifier
        self.epochs, self.count = schedule.epochs, subset.count

    def build(self, checkpoints: Path) -> SupervisedModel:
        """The compiled model; call it inside the strategy's scope. `checkpoints` holds a folder per stage."""
        keras.utils.set_random_seed(self.classifier.seed)
        network = streams.classifier(self.task.modalities, self.task.settings.data.size, self.classifier.network)
        if self.after:
            checkpoint.restore_network(network, checkpoints / self.after / "best.npz", "network/0")
        weights = (self.classifier.negative_weight, self.classifier.positive_weight)
        self.model = SupervisedModel(network, objective(self.subset.modalities, weights), ("loss", "accuracy"))
        rates = schedule(self.schedule, self.steps_per_epoch(SupervisedModel.replicas()))
        kinds = {"keras2_adagrad": Keras2Adagrad, "adam": keras.optimizers.Adam}
        self.model.compile({"network": kinds[self.classifier.optimizer](rates)}, self.classifier.jit)
        self.held_out = None  # read at the first validation
        return self.model

    def steps_per_epoch(self, replicas: int = 1) -> int:
        return pipeline.steps_per_epoch(self.count, self.classifier.batch_size, replicas > 1)

    def batches(self, position: Position, replicas: int = 1) -> tf.data.Dataset:
        """Batches of a name per modality, (b, size, size, 1), `label` (b) int32."""
        names, background = self.subset.modalities, self.classifier.mask_background
        slices = pipeline.slices_of(self.subset.store, self.subset.visits, names)
        labels = tf.data.Dataset.from_tensor_slices(self.subset.labels)
        examples = tf.data.Dataset.zip(slices, labels).map(lambda example, label: example | {"label": label})

        def finish(batch):
            tumour = tf.cast(batch["segmentation"] > 0, tf.float32)
            images = {name: enhance(records.to_signed(batch[name]), tumour, background) for name in names}
            return images | {"label": batch["label"]}

        return pipeline.training_batches(
            examples,
            self.count,
            self.classifier.batch_size,
            self.classifier.seed,
            first_epoch=position.epoch,
            skip=position.step,
            drop_remainder=replicas > 1,
            augment=augmentation.moving((*names, "segmentation"), self.classifier.flip, self.classifier.shift),
            finish=finish,
        )

    def callbacks(self, folder: Path, quiet: bool, replicas: int) -> Sequence[keras.callbacks.Callback]:
        """Validation, history.csv (stage 2's epochs are counted on from stage 1's) and the progress bar."""
        shown = {"loss": "loss", "validation_accuracy": "slices", "validation_patient_accuracy": "patients"}
        earlier = sum(stage.epochs for stage in self.task.stages[: self.task.stages.index(self)])
        bar = Progress(self.epochs, self.steps_per_epoch(replicas), shown, self.name)
        return [
            Every(1, self.epochs, lambda epoch: self.validate()),
            History(folder / "history.csv", list(COLUMNS), earlier),
            *([] if quiet else [bar]),
        ]

    def validate(self) -> dict[str, float]:
        """Loss and accuracy on the validation slices, accuracy on its patients, and the score to keep the best by."""
        if self.held_out is None:
            self.held_out = self.task.validation.arrays()
            self.predict = diagnosis.predictor(self.model.network, self.task.settings.classifier)
        logs = diagnosis.measure(self.predict(self.held_out), self.task.validation, self.task.settings.classifier)
        loss = logs["validation_loss"]
        # Of equal accuracies, and few slices give many, the lower loss.
        score = logs["validation_accuracy"] - 1e-6 * loss if self.classifier.best_by == "accuracy" else -loss
        return logs | {"score": score}


def objective(modalities: Sequence[str], weights: tuple[float, float]):
    """Cross-entropy with a weight per class, over the number of slices as Keras averages it; and the accuracy."""
    by_class = tf.constant(weights, tf.float32)

    def loss(network, batch):
        label = batch["label"]
        logits = network({name: batch[name] for name in modalities}, training=True)["logits"]
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(label, logits)
        right = tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), label)
        return {
            "loss": tf.reduce_mean(tf.gather(by_class, label) * losses),
            "accuracy": tf.reduce_mean(tf.cast(right, tf.float32)),
        }

    return loss


def schedule(stage: StageSettings, steps_per_epoch: int):
    """The stepwise learning rate (III-A1) as a function of the optimizer's step, so that a resumed run has it too."""
    if not stage.until:
        return stage.learning_rates[0]
    # Step k of the optimizer, counted from 0, belongs to epoch k // steps_per_epoch + 1.
    last = [epoch * steps_per_epoch - 1 for epoch in stage.until]
    return keras.optimizers.schedules.PiecewiseConstantDecay(last, list(stage.learning_rates))
