"""A training run of DCGAN or WGAN: its images, what it reports on the way, what it leaves behind."""

from functools import partial
from typing import Any

import keras

from kerasgan.data import imagesets
from kerasgan.data.modalities import DISPLAY, canonical
from kerasgan.data.prepare import Prepared, PreparedVisit
from kerasgan.errors import UserError
from kerasgan.gan import losses
from kerasgan.gan.model import Game
from kerasgan.gan.penalties import clip_weights
from kerasgan.gan.radford import levels_of
from kerasgan.papers.brainmr import networks, published
from kerasgan.papers.brainmr.settings import BrainmrSettings
from kerasgan.papers.latent import LatentTask

SIZES = (128, 64)  # stated, 3.2.1


class BrainmrTask(LatentTask):
    """Trains one of the paper's two GANs on a sequence; DCGAN and WGAN differ in game and optimizers alone."""

    @classmethod
    def target(cls, sequence: str, size: int | None = None) -> dict[str, Any]:
        """A sequence by any of its names, "concat" for the union of all, or "all" for the paper's rows; and pixels.

        None: those of `data.size`, or of a run that is resumed; "all" takes no others.
        """
        sequence = sequence.lower()
        if sequence == "all":
            if size:
                raise UserError(f"--sequence all has rows of the paper's sizes; leave out --size {size}")
            return {"sequence": "all"}
        return {"sequence": sequence if sequence == imagesets.CONCAT else canonical(sequence), "size": size}

    @classmethod
    def run_name(cls, target: dict[str, Any], settings: BrainmrSettings) -> str:
        return "all" if target["sequence"] == "all" else f"{target['sequence']}-{target['size']}"

    @classmethod
    def title(cls, target: dict[str, Any]) -> str:
        if target["sequence"] == "all":
            return f"{cls.model} of every sequence"
        size = f" at {target['size']}x{target['size']}" if target["size"] else ""
        return f"{cls.model} of {target['sequence']}{size}"

    @classmethod
    def settled(cls, target: dict[str, Any], settings: BrainmrSettings) -> dict[str, Any]:
        """Pixels that the networks or the data cannot have are a `UserError`."""
        if target["sequence"] == "all":
            return target
        size = target["size"] or settings.data.size
        levels_of(size, settings.network.filters)
        if settings.data.size % size:
            raise UserError(
                f"images of {size} pixels cannot be made of those of data.size, {settings.data.size}, which must be a "
                "multiple: choose another --size, or prepare the cohort with another data.size"
            )
        return target | {"size": size}

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
        self.settings, size = settings, target["size"]
        held_out = settings.study.held_out
        learnt = self._visits(prepared, target["sequence"], "train" if held_out else "all")
        super().__init__(
            settings,
            prepared,
            target,
            size,
            learnt,
            self._visits(prepared, target["sequence"], self._held_out(prepared)) if held_out else learnt,
            "held-out" if held_out else "the training",
        )

    def _held_out(self, prepared: Prepared) -> str:
        """The subset that curves compare with, by which nothing is chosen: test patients where none validate."""
        partition = prepared.manifest.partitions[self.settings.study.partition - 1]
        return "validation" if partition["validation"] else "test"

    def _visits(self, prepared: Prepared, sequence: str, subset: str) -> dict[str, list[PreparedVisit]]:
        study = self.settings.study
        return {
            name: imagesets.visits_with(prepared, name, subset, study.partition, study.label, study.value)
            for name in imagesets.sequences_of(prepared, sequence)
        }

    def steps_per_epoch(self, replicas: int = 1) -> int:
        return self.training.steps_per_epoch

    def describe(self) -> str:
        study = self.settings.study
        who = f"patients with {study.label}={study.value}" if study.label else "patients"
        who = f"training {who}" if study.held_out else f"all {who}"
        patients = {visit.patient for visits in self.visits.values() for visit in visits}
        return (
            f"{self.prepared.manifest.origin}: {len(patients)} {who}, {self.images} images of "
            f"{', '.join(DISPLAY[name] for name in self.visits)}"
        )

    def networks(self) -> tuple[keras.Model, keras.Model]:
        network = self.settings.network
        return networks.generator(self.size, network), networks.critic(self.size, network)


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
