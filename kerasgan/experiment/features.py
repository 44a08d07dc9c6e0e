"""`features`: from a U-Net's run to features on disk, and from an AC-GAN's to synthetic ones."""

from pathlib import Path
from typing import Literal

from tqdm import tqdm

from kerasgan.data.labels import class_of
from kerasgan.data.prepare import Prepared, open_prepared
from kerasgan.data.splits import SUBSETS
from kerasgan.errors import UserError
from kerasgan.experiment.generation import load_network
from kerasgan.experiment.runs import Run, open_run, refuse_other_data
from kerasgan.papers.featuregan.extraction import extract
from kerasgan.papers.featuregan.generation import CRITIC, GENERATOR, Makers
from kerasgan.papers.featuregan.segmentation import NETWORK, STANDARD
from kerasgan.papers.featuregan.settings import FeatureSettings, StudySettings
from kerasgan.papers.featuregan.slices import Slices
from kerasgan.papers.featuregan.standardisation import Standard
from kerasgan.papers.featuregan.store import FeatureSlice, FeatureStore, open_features
from kerasgan.papers.featuregan.synthesis import synthesise
from kerasgan.papers.featuregan.unet import BLOCKS
from kerasgan.papers.featuregan.weights import open_unet
from kerasgan.settings import read_json, validate


def block_name(block: str) -> str:
    """A block of the U-Net from what a user calls it: "5" is the paper's 5th block, encoder5."""
    return f"encoder{block}" if f"encoder{block}" in BLOCKS else block


def extract_features(
    run: str | Path,
    out: str | Path,
    *,
    block: str | None = None,
    dtype: Literal["float16", "float32"] | None = None,
    quiet: bool = False,
) -> FeatureStore:
    """Write what a block of a finished U-Net makes of every slice of its patients into the folder `out`.

    Restartable: what is there and whole is kept; see `papers.featuregan.extraction.extract`.

    Args:
        run: a finished run of `unet`.
        out: a new folder, or one that an earlier call began.
        block: encoder1 to encoder5 or 1 to 5, decoder4 to decoder1; None: the run's setting `features.block`.
        dtype: None: the run's setting.
        quiet: no progress bar.
    """
    opened = _run_of(run, "unet")
    settings = opened.settings
    own: FeatureSettings = settings.features
    prepared = open_prepared(Path(opened.data))
    refuse_other_data(opened, prepared)
    network = open_unet(opened.folder / NETWORK)
    standard = standard_of(opened)
    slices, pieces = _slices(prepared, settings.study)

    def batches(first: int):
        for image, _ in slices.batches(own.batch_size, first):
            yield standard.standardise(image)

    with tqdm(total=len(pieces), desc="features", unit="slice", disable=quiet) as bar:
        return extract(
            network,
            block_name(block or own.block),
            batches,
            Path(out),
            slices=pieces,
            batch_size=own.batch_size,
            dtype=dtype or own.dtype,
            data=prepared.hash,
            origin=prepared.manifest.origin,
            progress=bar.update,
        )


def standard_of(run: Run) -> Standard:
    """The z-score of a U-Net's input that a run has delivered."""
    path = run.folder / STANDARD
    return validate(Standard, read_json(path, "restore the file, or train the run anew"), str(path))


def _slices(prepared: Prepared, study: StudySettings) -> tuple[Slices, list[FeatureSlice]]:
    """Every slice of the patients of a partition, subset by subset, and what the store says of each."""
    visits, pieces = [], []
    for subset in SUBSETS:
        if not prepared.manifest.partitions[study.partition - 1][subset]:
            continue
        for visit in prepared.visits(subset, study.partition, study.modalities):
            visits.append(visit)
            label = study.classes[class_of(visit, study, "study")]
            pieces += [
                FeatureSlice(name=f"{visit.name} {view} {index}", patient=visit.patient, label=label, subset=subset)
                for view, index, _ in visit.slices
            ]
    return Slices(prepared, visits, study.modalities), pieces


def generate_features(
    run: str | Path, out: str | Path, *, count: int | None = None, seed: int | None = None, quiet: bool = False
) -> FeatureStore:
    """Generate `count` features with a finished AC-GAN; write those whose class is told right into the folder `out`.

    Args:
        run: a finished run of `acgan`.
        out: a new folder, or one that an earlier call began.
        count: features that are judged; None: the run's setting `acgan.samples`.
        seed: None: the run's setting `acgan.seed`.
        quiet: no progress bar.
    """
    opened = _run_of(run, "acgan")
    settings, real = opened.settings, open_features(Path(opened.data))
    refuse_other_data(opened, real)
    seed = settings.acgan.seed if seed is None else seed
    with tqdm(desc="features", unit="feature", disable=quiet) as bar:
        return synthesise(
            makers_of(opened, real),
            real,
            Path(out),
            count=count or settings.acgan.samples,
            seed=seed,
            classes=settings.study.classes,
            origin=f"synthetic, by an AC-GAN of width {opened.target['width']}, seed {seed}, from {opened.origin}",
            progress=bar.update,
        )


def makers_of(run: Run, real: FeatureStore) -> Makers:
    """Generator and discriminator that a run of `acgan` has delivered."""
    return Makers(
        *(load_network(run.folder / path) for path in (GENERATOR, CRITIC)),
        real.manifest.channels["train"],
        run.settings.acgan,
    )


def _run_of(folder: str | Path, model: str) -> Run:
    run = open_run(folder)
    if run.model != model:
        raise UserError(f"{folder} is a run of {run.model}; expected one of {model}, made by `kerasgan train {model}`")
    return run
