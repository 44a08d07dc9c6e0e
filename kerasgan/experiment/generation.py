"""`generate`: images from noise, by the generator of a finished run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from kerasgan.data.imagesets import ImageSet, description_of, write_images
from kerasgan.data.splits import SUBSETS
from kerasgan.errors import UserError
from kerasgan.experiment.runs import Run, open_run
from kerasgan.files import sha256_of
from kerasgan.gan import layers, normalisation, transposed  # noqa: F401 (of which saved generators are made)
from kerasgan.gan.sampling import Draw, normal, streamed, uniform
from kerasgan.networks import read_network
from kerasgan.papers.aggrgan import infogan  # noqa: F401 (as above)
from kerasgan.papers.aggrgan.categories import LEARNT, sequence_of
from kerasgan.papers.pggan import layers as pggan_layers  # noqa: F401 (as above)

GENERATOR = Path("generators") / "generator.keras"


def generate(
    run: str | Path,
    out: str | Path,
    *,
    count: int,
    seed: int = 1,
    category: str | None = None,
    kind: str = "png",
    bits: int = 8,
    quiet: bool = False,
) -> Path:
    """Write `count` images of a finished noise-to-image run into the new folder `out`, which is returned.

    The same seed makes the same images, and the first ones of a larger count are those of a smaller. `category` is
    that of a run whose generator is told the class (pggan), and of no other. `kind` is png (8 or 16 `bits`), npz or
    nifti: see `data.imagesets.write_images`. images.json beside them names run, seed and training data, and whose
    images were learnt.
    """
    opened = open_run(run)
    stream = _streamed(opened, count, seed, category)

    def batches() -> Iterator[np.ndarray]:
        with tqdm(total=count, desc="generate", unit="image", disable=quiet) as bar:
            for batch in stream:
                yield batch
                bar.update(len(batch))

    description = {
        "origin": _origin(opened, seed, category),
        "sequence": _sequence(opened),
        "class": category,
        "model": opened.model,
        "target": opened.target,
        "run": opened.folder.resolve().name,
        "trained_on": opened.origin,
        "learnt": _learnt(opened),
        "seed": seed,
    }
    write_images(Path(out), batches(), kind, bits, opened.settings.data.views[0], description)
    return Path(out)


def generated(run: str | Path, count: int, seed: int, category: str | None = None) -> ImageSet:
    """`count` images of a finished noise-to-image run, in memory, clipped to [-1, 1] as written images are."""
    opened = open_run(run)
    images = np.concatenate(list(_streamed(opened, count, seed, category)))
    names = tuple(f"image_{number:06d}" for number in range(count))
    return ImageSet(np.clip(images, -1, 1), names, names, (_sequence(opened),) * count, _origin(opened, seed, category))


def classes_of(run: Run) -> tuple[str, ...]:
    """The classes that a run's generator is told, class 0 first; none for most models."""
    if run.model == "pggan" and run.settings.network.class_from is not None:
        return run.settings.study.classes
    return ()


def draw_of(run: Run) -> Draw:
    """How the noise of a run's generator is drawn."""
    return uniform if run.model == "pggan" else normal


def _streamed(run: Run, count: int, seed: int, category: str | None) -> Iterator[np.ndarray]:
    classes = classes_of(run)
    generator = generator_of(run)
    if category is not None and not classes:
        raise UserError(f"{run.folder} is a run of {run.model}, whose generator knows no classes; leave out {category}")
    if classes and category not in classes:
        wrong = "" if category is None else f", not {category}"
        raise UserError(
            f"{run.folder} generates images of {' or '.join(classes)}; name one of these classes{wrong}: kerasgan "
            f"generate {run.folder} --class {classes[0]}"
        )
    label = classes.index(category) if classes else None
    return streamed(generator, count, seed, draw_of(run), label)


def generator_of(run: Run) -> keras.Model:
    """The generator that a run has delivered; a run that has none, or a damaged one, is a `UserError`."""
    if run.model == "acgan":
        raise UserError(f"{run.folder} makes features, not images: give it to `kerasgan features generate`")
    path = run.folder / GENERATOR
    if not path.is_file():
        raise UserError(
            f"{run.folder} is a run of {run.model}, which makes no images from noise: it has no {GENERATOR}; give a "
            "run of a model that does, such as dcgan"
        )
    return load_network(path)


def load_network(path: Path) -> keras.Model:
    """A network that a run has delivered; a file that is missing or damaged is a `UserError`."""
    return read_network(path, "restore the file, or train the run anew")


def generator_hash(folder: Path) -> str:
    """sha256 of the generator in a run's folder."""
    return sha256_of(folder / GENERATOR)


def learnt_by(source: str | Path) -> dict[str, Any] | None:
    """What the maker of synthetic images has learnt, of a run or of a folder of `generate`; None if nothing says so.

    data_hash: of the prepared folder; sequence: a modality or "concat"; held_out: whether the test patients of
    `partition` were left out; subsets: of its patients that were learnt; and the other settings of the run's `study`.
    """
    source = Path(source)
    if (source / "run.json").is_file():
        return _learnt(open_run(source))
    return description_of(source).get("learnt")


def _learnt(run: Run) -> dict[str, Any]:
    # A study without the setting `held_out` (aggrgan's) always leaves out the test patients.
    study = {"held_out": True} | run.settings.study.model_dump(mode="json")
    by_class = "category" in run.target  # of aggrgan, which learns from validation patients too
    subsets = LEARNT if by_class else ("train",) if study["held_out"] else SUBSETS
    known = {"data_hash": run.data_hash, "sequence": run.target.get("sequence") or _sequence(run)}
    return study | known | {"subsets": list(subsets)}


def _origin(run: Run, seed: int, category: str | None) -> str:
    words = [run.model, *map(str, run.target.values()), *([category] if category else [])]
    return f"{' '.join(words)}, seed {seed}, trained on {run.origin}"


def _sequence(run: Run) -> str:
    if "category" in run.target:
        return sequence_of(run.target["category"], run.settings.study)
    if run.model == "pggan":
        return run.settings.study.modality
    sequence = run.target.get("sequence", "")
    return "" if sequence == "concat" else sequence
