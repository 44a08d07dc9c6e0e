"""Where the images come from that are compared: a prepared folder, a folder of pictures, or a finished run."""

from pathlib import Path

from kerasgan.data.imagesets import ImageSet, drawn_of_visits, read_images, resized, sequences_of, visits_with
from kerasgan.data.prepare import open_prepared
from kerasgan.errors import UserError
from kerasgan.experiment.generation import classes_of, generated
from kerasgan.experiment.runs import open_run


def image_set(
    source: str | Path,
    *,
    sequence: str | None = None,
    subset: str = "all",
    where: str | None = None,
    partition: int = 1,
    size: int | None = None,
    count: int | None = None,
    seed: int = 1,
    category: str | None = None,
    real: bool = False,
) -> ImageSet:
    """The images of a source, real or synthetic.

    Args:
        source: a prepared folder (real images), the folder of a finished noise-to-image run (synthetic ones, made
            now), or a folder of images as `data.imagesets.read_images` takes it.
        sequence: of a prepared folder: a modality by any of its names, or "concat"; None: all that there are.
        subset: of a prepared folder: train, validation, test, or all.
        where: of a prepared folder: LABEL=VALUE of the patients, such as grade=HGG; None: all.
        partition: of a prepared folder, from 1.
        size: pixels to which larger images are shrunk by means of blocks; None: as they are.
        count: how many, drawn by `seed`; None: all there are, and for a run an error.
        seed: of the draw, or of a run's noise.
        category: of a run whose generator is told the class; others leave it aside.
        real: refuse a run, whose images are synthetic.
    """
    folder = Path(source)
    if (folder / "run.json").is_file():
        if real:
            raise UserError(
                f"{folder} is a run, whose images are synthetic; give --real a prepared folder or one of images"
            )
        if count is None:
            raise UserError(f"{folder} is a run, which makes as many images as asked for; give --count")
        found = generated(folder, count, seed, category if classes_of(open_run(folder)) else None)
    elif (folder / "manifest.json").is_file():
        prepared = open_prepared(folder)
        label, _, value = where.partition("=") if where else (None, "", "")
        visits = {
            name: visits_with(prepared, name, subset, partition, label, value)
            for name in sequences_of(prepared, sequence)
        }
        found = drawn_of_visits(prepared, visits, size, count, seed)
    else:
        found = read_images(folder)
        found = found if count is None else found.sample(count, seed)
    return found if size is None else resized(found, size)
