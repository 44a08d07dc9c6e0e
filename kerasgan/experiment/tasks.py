"""What a paper has to say of a run, and the list of all models that can be trained."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import keras
import tensorflow as tf

from kerasgan.data.prepare import Prepared
from kerasgan.gan.checkpoint import Position
from kerasgan.gan.model import AdversarialModel
from kerasgan.gan.settings import TrainingSettings
from kerasgan.papers.aggrgan.training import Dcgan1Task, Dcgan2Task, InfoganTask, LsganTask, WgandivTask
from kerasgan.papers.brainmr.training import DcganTask, WganTask
from kerasgan.papers.featuregan.classification import FeatureClassifierTask
from kerasgan.papers.featuregan.generation import AcganTask
from kerasgan.papers.featuregan.segmentation import UnetTask
from kerasgan.papers.featuregan.store import FeatureStore
from kerasgan.papers.pairwise.classifier import ClassifierTask
from kerasgan.papers.pairwise.training import PairwiseTask
from kerasgan.papers.pggan.training import PgganTask
from kerasgan.settings import Section

Data = Prepared | FeatureStore  # what `Card.data` says a model learns from


class Stage(Protocol):
    """One `fit` of a run: one model, one data set, one schedule. Most runs have one."""

    name: str  # of its folder below checkpoints/; "" if it is the only one
    epochs: int
    count: int  # examples that the steps of an epoch take in
    monitor: str | None  # the value in an epoch's logs that the best epoch has most of

    def build(self, checkpoints: Path) -> AdversarialModel:
        """The compiled model with its first weights, those of an earlier stage among `checkpoints`."""

    def steps_per_epoch(self, replicas: int = 1) -> int: ...

    def batches(self, position: Position, replicas: int = 1) -> tf.data.Dataset:
        """Batches without end from a position on, in an order that only seed and epoch decide."""

    def callbacks(self, folder: Path, quiet: bool, replicas: int) -> Sequence[keras.callbacks.Callback]:
        """What is measured, drawn and shown on the way, in this order."""


class Task(Protocol):
    """What a model's paper says of a run: what is trained (the target), on what, and what the run leaves behind."""

    stages: Sequence[Stage]
    panels: Mapping[str, Sequence[str]]  # of the curves in the report
    pictures: Mapping[str, str]  # of the report: title -> file that `finish` leaves
    training: TrainingSettings

    @staticmethod
    def target(**given: Any) -> dict[str, Any]:
        """The target as run.json has it, from the words of the command line; a wrong one is a `UserError`."""

    @classmethod
    def settled(cls, target: dict[str, Any], settings: Section) -> dict[str, Any]:
        """See `papers.task.PaperTask`."""

    @staticmethod
    def run_name(target: dict[str, Any], settings: Section) -> str:
        """The default name of the run's folder."""

    @staticmethod
    def title(target: dict[str, Any]) -> str:
        """What is trained, in words."""

    # Of models that take "all": `members(target, settings, prepared)`, the targets that it stands for.

    def __init__(self, settings: Section, prepared: Data, target: dict[str, Any]): ...

    def describe(self) -> str:
        """Which data are learnt, for the user."""

    def finish(self, folder: Path) -> str:
        """Write what the run delivers into its folder; returns the quality table as Markdown."""


TASKS: dict[str, type[Task]] = {
    "pairwise": PairwiseTask,
    "classifier": ClassifierTask,
    "dcgan": DcganTask,
    "wgan": WganTask,
    "dcgan1": Dcgan1Task,
    "dcgan2": Dcgan2Task,
    "wgandiv": WgandivTask,
    "lsgan": LsganTask,
    "infogan": InfoganTask,
    "unet": UnetTask,
    "acgan": AcganTask,
    "feature-classifier": FeatureClassifierTask,
    "pggan": PgganTask,
}
