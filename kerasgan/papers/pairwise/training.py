"""A training run of one pair: its batches, what it reports on the way, what it leaves behind."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from kerasgan.data import augmentation, pipeline, records
from kerasgan.data.modalities import DISPLAY, canonical
from kerasgan.data.prepare import Prepared, describe
from kerasgan.errors import UserError
from kerasgan.files import write_text, written_aside
from kerasgan.gan import checkpoint
from kerasgan.gan.callbacks import Every, History, Progress
from kerasgan.gan.checkpoint import Position
from kerasgan.papers.pairwise import gan, networks, published, quality
from kerasgan.papers.pairwise.cases import modalities_of, training_visits
from kerasgan.papers.pairwise.settings import PairwiseSettings, PairwiseTraining
from kerasgan.papers.task import OneStage
from kerasgan.report import figures

SAMPLES = 4  # slices in a sample picture


class PairwiseTask(OneStage):
    """Trains the GAN of `pair` (canonical modalities m, n) on a partition of a prepared data set."""

    # What decides which epoch is best: the mean validation PSNR of both directions, whole image, as Table 6 begins.
    monitor: ClassVar = "psnr"
    panels: ClassVar = {
        "losses": ["generator_loss", "discriminator_n_loss", "discriminator_m_loss"],
        "L1 (eq. 4)": ["l1"],
        "validation PSNR, dB": ["psnr", "psnr_tumour"],
        "validation SSIM": ["ssim", "ssim_tumour"],
    }
    pictures: ClassVar = {"Test slices, real in red": "figure7.png"}

    @staticmethod
    def target(pair: Sequence[str]) -> dict[str, Any]:
        """The two modalities, by any of their names, as run.json has them; or ("all",) for every pair."""
        if [name.lower() for name in pair] == ["all"]:
            return {"pair": "all"}
        if len(pair) != 2:
            raise UserError(f"--pair expects two modalities, or all; got {' '.join(pair) or 'nothing'}")
        m, n = (canonical(name) for name in pair)
        if m == n:
            raise UserError(f"--pair expects two different modalities; {pair[0]} and {pair[1]} are both {m}")
        return {"pair": [m, n]}

    @staticmethod
    def run_name(target: dict[str, Any], settings: PairwiseSettings) -> str:
        """The default name of a run's folder."""
        return "all" if target["pair"] == "all" else "-".join(target["pair"])

    @staticmethod
    def title(target: dict[str, Any]) -> str:
        """What is trained, in words."""
        return f"pairwise {'of every pair' if target['pair'] == 'all' else '-'.join(target['pair'])}"

    @staticmethod
    def members(target: dict[str, Any], settings: PairwiseSettings, prepared: Prepared) -> list[dict[str, Any]]:
        """The targets that "all" stands for: the pairs of the modalities that the cohort has."""
        names = modalities_of(prepared, settings)
        return [{"pair": [m, n]} for i, m in enumerate(names) for n in names[i + 1 :]]

    def __init__(self, settings: PairwiseSettings, prepared: Prepared, target: dict[str, Any]):
        self.settings, self.prepared = settings, prepared
        self.pair = pair = tuple(target["pair"])
        self.directions = {f"{m}_to_{n}": (m, n) for m, n in (pair, pair[::-1])}
        partition = settings.study.partition
        self.visits = training_visits(prepared, settings, pair)
        self.count = pipeline.count_slices(self.visits)
        prepared.visits("test", partition, pair)  # that there are none should not come out after the training
        self.validation = quality.load_pairs(prepared, "validation", partition, pair)

    @property
    def training(self) -> PairwiseTraining:
        return self.settings.training

    def describe(self) -> str:
        case = f"; case b leaves {self.count} slices to train on" if self.settings.study.case == "b" else ""
        return describe(self.prepared, self.settings.study.partition, self.pair) + case

    def build(self, checkpoints: Path | None = None) -> gan.PairwiseGAN:
        """The compiled model; call it inside the strategy's scope."""
        self.model = gan.build(self.pair, self.settings)
        self.translators = dict(
            zip(self.directions, map(quality.translator, self.model.players["generators"]), strict=True)
        )
        return self.model

    def steps_per_epoch(self, replicas: int = 1) -> int:
        return pipeline.steps_per_epoch(self.count, self.training.batch_size, replicas > 1)

    def batches(self, position: Position, replicas: int = 1) -> tf.data.Dataset:
        """Slice pairs of the same patient (Algorithm 1, step 1), as `PairwiseGAN` takes them."""
        training = self.training
        m, n = self.pair

        def finish(batch):
            tumour = tf.cast(batch["segmentation"] > 0, tf.float32)
            return {"m": records.to_signed(batch[m]), "n": records.to_signed(batch[n]), "tumour": tumour}

        return pipeline.training_batches(
            pipeline.slices_of(self.prepared, self.visits, self.pair),
            self.count,
            training.batch_size,
            training.seed,
            first_epoch=position.epoch,
            skip=position.step,
            # A batch smaller than the others cannot be shared out evenly over replicas.
            drop_remainder=replicas > 1,
            augment=augmentation.moving((m, n, "segmentation"), training.flip, training.shift),
            finish=finish,
        )

    def callbacks(self, folder: Path, quiet: bool, replicas: int) -> Sequence[keras.callbacks.Callback]:
        """Validation, sample pictures, history.csv and the progress bar, in this order."""
        training = self.training
        columns = [*gan.LOSSES, *quality.MEASURES]
        columns += [f"{direction}_{measure}" for direction in self.directions for measure in quality.MEASURES]
        shown = {"generator_loss": "G", "l1": "L1", "psnr": "PSNR", "psnr_tumour": "tumour", "ssim": "SSIM"}
        return [
            Every(training.validate_every, training.epochs, lambda epoch: self.validate()),
            Every(training.sample_every, training.epochs, lambda epoch: self.draw_samples(folder, epoch)),
            History(folder / "history.csv", columns),
            *([] if quiet else [Progress(training.epochs, self.steps_per_epoch(replicas), shown)]),
        ]

    def validate(self) -> dict[str, float]:
        """Each measure on the validation slices, per direction and as the mean of both."""
        logs: dict[str, float] = {}
        found: dict[str, list[float]] = {}
        for direction, values in self.measures(self.validation).items():
            for name, value in quality.summary(values).items():
                logs[f"{direction}_{name}"] = value["mean"]
                found.setdefault(name, []).append(value["mean"])
        return logs | {name: float(np.mean(means)) for name, means in found.items()}

    def measures(self, pairs: quality.Pairs) -> dict[str, dict[str, np.ndarray]]:
        """Each measure per slice, per direction."""
        m, n = self.directions
        return {
            m: quality.measure(pairs.n, self.translators[m](pairs.m), pairs.tumour),
            n: quality.measure(pairs.m, self.translators[n](pairs.n), pairs.tumour),
        }

    def draw_samples(self, folder: Path, epoch: int) -> None:
        """samples/epoch_NNNN.png: real source, synthetic target, real target, difference, per direction."""
        pairs = self.validation
        chosen = np.linspace(0, len(pairs.m) - 1, min(SAMPLES, len(pairs.m))).round().astype(int)
        rows = []
        for (direction, (source, target)), real, wanted in zip(
            self.directions.items(), (pairs.m, pairs.n), (pairs.n, pairs.m), strict=True
        ):
            fakes = self.translators[direction](real[chosen])
            rows += [
                figures.TranslationRow(DISPLAY[source], DISPLAY[target], real[i], fakes[k], wanted[i], pairs.tumour[i])
                for k, i in enumerate(chosen)
            ]
        title = f"{self.prepared.manifest.origin}, validation, epoch {epoch}"
        figures.translation_grid(folder / "samples" / f"epoch_{epoch:04d}.png", rows, title)

    def finish(self, folder: Path) -> str:
        """Deliver the generators, metrics.json, quality.md and figure7.png; returns the table.

        Made from the checkpoint, not from the model in training: with several workers reading that one is an operation
        of all, and the chief finishes alone.
        """
        kept = folder / "checkpoints" / f"{self.training.keep}.npz"
        for number, direction in enumerate(self.directions):
            generator = networks.generator(direction, self.settings.data.size)
            checkpoint.restore_network(generator, kept, f"generators/{number}")
            with written_aside(folder / "generators" / f"{direction}.keras") as aside:
                generator.save(aside)
            self.translators[direction] = quality.translator(generator)
        test = quality.load_pairs(self.prepared, "test", self.settings.study.partition, self.pair)
        by_subset = {"validation": self.measures(self.validation), "test": self.measures(test)}
        metrics = {
            direction: {subset: quality.summary(values[direction]) for subset, values in by_subset.items()}
            for direction in self.directions
        }
        origin = self.prepared.manifest.origin
        write_text(folder / "metrics.json", json.dumps({"data": origin, "quality": metrics}, indent=1))
        mask = "without mask" if self.settings.loss.mask_background == 1 else "with mask"
        named = {f"{DISPLAY[m]} to {DISPLAY[n]}": metrics[direction] for direction, (m, n) in self.directions.items()}
        table = quality.quality_table(named, published.TABLE_6[mask], mask)
        write_text(folder / "quality.md", f"Data: {origin}\n\n{table}\n")
        self._draw_figure_7(folder / "figure7.png", test, checkpoint.position_of(kept).epoch)
        return table

    def _draw_figure_7(self, path: Path, pairs: quality.Pairs, epochs: int) -> None:
        """Figure 7 for one pair: in each row a real slice (red box) and what was made from it."""
        chosen = np.linspace(0, len(pairs.m) - 1, min(SAMPLES, len(pairs.m))).round().astype(int)
        rows = []
        for (direction, (source, target)), real in zip(self.directions.items(), (pairs.m, pairs.n), strict=True):
            fakes = self.translators[direction](real[chosen])
            rows += [
                (DISPLAY[source], {DISPLAY[source]: real[i], DISPLAY[target]: fakes[k]}) for k, i in enumerate(chosen)
            ]
        columns = [DISPLAY[name] for name in DISPLAY if name in self.pair]
        title = f"{self.prepared.manifest.origin}, test: real in red, the other made from it after {epochs} epochs"
        figures.boxed_grid(path, rows, columns, title)
