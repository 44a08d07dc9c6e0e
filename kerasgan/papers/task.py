"""What the papers' tasks have in common, see `experiment.tasks.Task`."""

from typing import Any, ClassVar, Self

from kerasgan.gan.settings import TrainingSettings
from kerasgan.settings import Section


class PaperTask:
    """What a model's paper says of a run."""

    @classmethod
    def settled(cls, target: dict[str, Any], settings: Section) -> dict[str, Any]:
        """The target with what the settings decide where it says nothing, such as the size of images.

        What is wrong with it whatever the data are is a `UserError`, before any are simulated or read. Nothing of
        TensorFlow may be made yet: its strategies come first.
        """
        return target


class OneStage(PaperTask):
    """A task that is its own and only stage, see `experiment.tasks.Stage`: trained in one go."""

    name: ClassVar[str] = ""
    monitor: ClassVar[str | None] = None
    training: TrainingSettings

    @property
    def stages(self) -> tuple[Self]:
        return (self,)

    @property
    def epochs(self) -> int:
        return self.training.epochs
