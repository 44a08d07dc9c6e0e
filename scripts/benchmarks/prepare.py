"""From NIfTI files to TFRecord shards: `kerasgan data prepare` against a loop with nibabel and scikit-image."""

import itertools
import tempfile
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import tensorflow as tf
from skimage.transform import resize

from benchmarks import phantoms
from benchmarks.timing import Row, in_turns, rate, times_as_fast
from kerasgan.data import slices
from kerasgan.data.cohort import Cohort, Visit
from kerasgan.data.prepare import prepare
from kerasgan.data.settings import SliceSettings
from kerasgan.papers import settings_of
from kerasgan.papers.pairwise.settings import PairwiseSettings
from kerasgan.threads import usable_cores


def rows(quick: bool) -> list[Row]:
    """Volumes in a second, segmentations included, from the file cache."""
    grid, copies, rounds = (64, 3, 1) if quick else (240, 5, 7)
    settings = prepare_settings(quick)
    with tempfile.TemporaryDirectory() as folder:
        cohort = repeated(phantoms.cohort(Path(folder) / "cohort", 2, grid), copies)
        fresh = (Path(folder) / f"{number}" for number in itertools.count())
        calls = {
            "kerasgan": lambda: prepare(cohort, next(fresh), settings.data, settings.split, quiet=True),
            "plain": lambda: prepare_plainly(cohort, next(fresh), settings.data),
        }
        seconds = in_turns(calls, rounds)
    volumes = sum(len(visit.images) + 1 for visit in cohort.visits)
    return [
        Row(f"kerasgan, {usable_cores()} threads", rate(volumes, seconds["kerasgan"]), "volumes/s"),
        Row(
            "nibabel and scikit-image in a loop",
            rate(volumes, seconds["plain"]),
            "volumes/s",
            times_as_fast(seconds["kerasgan"], seconds["plain"]),
            "at least 4 on 2 cores",
        ),
    ]


def prepare_settings(quick: bool) -> PairwiseSettings:
    """The published slices; small ones of a phantom with large voxels if `quick`."""
    overrides = ("data.size=32", "data.min_gap=1") if quick else ()
    return settings_of("pairwise", overrides=("split.stratify=null", *overrides))


def repeated(cohort: Cohort, copies: int) -> Cohort:
    """Every patient `copies` times under other names: simulating full-size volumes takes longer than reading them."""
    visits = itertools.product(range(copies), cohort.visits)
    return replace(cohort, visits=tuple(replace(visit, patient=f"{visit.patient}-{copy}") for copy, visit in visits))


def prepare_plainly(cohort: Cohort, out: Path, settings: SliceSettings) -> None:
    """The same slices as one would write them without kerasgan, one file after another."""
    out.mkdir()
    for visit in cohort.visits:
        with tf.io.TFRecordWriter(str(out / f"{visit.name}.tfrecord")) as writer:
            for example in plain_examples(visit, settings):
                writer.write(example.SerializeToString())


def plain_examples(visit: Visit, settings: SliceSettings) -> list[tf.train.Example]:
    """A visit's slices: float32 images in [0, 1] by modality, uint8 "segmentation"; which ones is kerasgan's choice."""
    segmentation = _load(visit.segmentation).astype(np.uint8)
    volumes = {modality: _load(path) for modality, path in visit.images.items()}
    ranges = {
        modality: np.percentile(volume[volume != 0], settings.percentiles) for modality, volume in volumes.items()
    }
    examples = []
    for view in settings.views:
        for number in slices.select(segmentation, view, settings):
            label = _square(slices.stack(segmentation, view)[number])
            shape = (settings.size, settings.size)
            label = resize(label, shape, order=0, preserve_range=True, anti_aliasing=False)
            features = {"segmentation": label.astype(np.uint8).tobytes()}
            for modality, volume in volumes.items():
                low, high = ranges[modality]
                image = np.clip((slices.stack(volume, view)[number] - low) / (high - low), 0, 1)
                image = resize(_square(image), shape, order=1, anti_aliasing=True)
                features[modality] = image.astype(np.float32).tobytes()
            examples.append(_example(features))
    return examples


def _load(path: str) -> np.ndarray:
    return nibabel.as_closest_canonical(nibabel.load(path)).get_fdata()


def _square(image: np.ndarray) -> np.ndarray:
    side = max(image.shape)
    before = [(side - length) // 2 for length in image.shape]
    behind = [side - length - first for length, first in zip(image.shape, before, strict=True)]
    return np.pad(image, list(zip(before, behind, strict=True)))


def _example(features: dict[str, bytes]) -> tf.train.Example:
    lists = {name: tf.train.BytesList(value=[content]) for name, content in features.items()}
    wrapped = {name: tf.train.Feature(bytes_list=content) for name, content in lists.items()}
    return tf.train.Example(features=tf.train.Features(feature=wrapped))
