"""`evaluate memorisation`: are synthetic images copies of training images?"""

from pathlib import Path

import numpy as np

from kerasgan.data.imagesets import ImageSet
from kerasgan.data.prepare import open_prepared
from kerasgan.errors import UserError
from kerasgan.evaluation.features import backbone as backbone_of
from kerasgan.evaluation.memorisation import PERCENTILES, Memorisation, memorisation
from kerasgan.experiment.compared import Finding, ImageComparison, Numbers, check_patients, check_sizes
from kerasgan.experiment.generation import learnt_by
from kerasgan.experiment.images import image_set
from kerasgan.report.pairs import Pair, pairs_picture

NOTES = (
    "Distances to the nearest training image. Of synthetic images 0.01 and 0.05 are expected below the 1st and 5th "
    "percentile of the held-out ones; many more may be copies, or images smoother than real ones: look at the worst "
    "pairs.",
    "No number here is a guarantee of privacy.",
)
UNKNOWN = (
    "Nothing says whether the GAN has learnt the held-out patients too; if it has, these numbers show no memorisation."
)


def evaluate_memorisation(
    *,
    real: str | Path,
    synthetic: str | Path,
    held_out: str | Path | None = None,
    sequence: str | None = None,
    subset: str = "train",
    where: str | None = None,
    partition: int = 1,
    size: int | None = None,
    count: int | None = None,
    seed: int = 1,
    backbone: str = "pixels",
    pairs: int = 8,
    out: str | Path | None = None,
    quiet: bool = False,
) -> ImageComparison:
    """The nearest training image of each synthetic one, against the distances of held-out real images.

    Args:
        real: the training images: a prepared folder, whose `subset` of the `partition` they are, or a folder of images.
        held_out: real images of other patients: a folder of images, or a prepared folder, whose test subset is taken;
            None: that of `real`.
        count: of the synthetic images alone.
        pairs: how many of the worst pairs the picture shows.
        out: a JSON file for the result; the picture is written beside it as .png. What is there is replaced.
        synthetic, sequence, where, size, seed, backbone, quiet: see `evaluate_images`.

    UserError if the run, or the folder of `generate`, says that the held-out patients were learnt.
    """
    if out and Path(out).suffix != ".json":
        raise UserError(f"{out} does not end in .json; the picture of the worst pairs is written beside it as .png")
    if held_out is None and not (Path(real) / "manifest.json").is_file():
        raise UserError(f"{real} is no prepared folder, so it has no test subset; give --held-out a folder of images")
    notes = () if check_held_out(Path(synthetic), Path(held_out or real), partition) else (UNKNOWN,)
    notes += _unseen(Path(synthetic), Path(real), subset, partition)
    common = {"sequence": sequence, "where": where, "partition": partition, "size": size, "seed": seed}
    sets = {
        "training": image_set(real, subset=subset, real=True, **common),
        "held out": image_set(held_out or real, subset="test", real=True, **common),
        "synthetic": image_set(synthetic, subset=subset, count=count, **common),
    }
    check_sizes(sets)
    check_patients(sets["training"], sets["held out"])
    space = backbone_of(backbone)
    near = memorisation(*(space.features(own.images, quiet) for own in sets.values()))
    found = Finding(_numbers(near), NOTES + notes, _nearest(near, sets["training"], sets["synthetic"]))
    result = ImageComparison.of("memorisation", sets, space, seed, {}, found)
    if out:
        worst = _worst(near, sets["training"], sets["synthetic"], pairs)
        title = (
            f"The {len(worst)} synthetic images nearest to a training image: {sets['synthetic'].origin}; {space.name}"
        )
        pairs_picture(Path(out).with_suffix(".png"), worst, title)
        result.write(out)
    return result


def check_held_out(synthetic: Path, held_out: Path, partition: int) -> bool:
    """Whether the test patients of a prepared folder are known to be held out; `UserError` if they were learnt."""
    learnt = learnt_by(synthetic)
    there = (held_out / "manifest.json").is_file()
    if learnt is None or not there or learnt["data_hash"] != open_prepared(held_out).hash:
        return False
    if not learnt["held_out"]:
        raise UserError(
            f"the GAN of {synthetic} has learnt the test patients of {held_out} too, so that none are held out; train "
            "one with --set study.held_out=true"
        )
    if learnt["partition"] != partition:
        raise UserError(
            f"the GAN of {synthetic} has learnt partition {learnt['partition']} of {held_out}, and with it test "
            f"patients of partition {partition}; give --partition {learnt['partition']}"
        )
    return True


def _unseen(synthetic: Path, real: Path, subset: str, partition: int) -> tuple[str, ...]:
    """A note of the patients that were learnt and are not among the training images; none if all are."""
    learnt = learnt_by(synthetic) or {}
    if subset == "all" or not (real / "manifest.json").is_file():
        return ()
    prepared = open_prepared(real)
    if learnt.get("data_hash") != prepared.hash:
        return ()
    there = prepared.manifest.partitions[partition - 1]
    # Folders of older versions do not say which subsets were learnt.
    others = [name for name in learnt.get("subsets", ()) if name != subset and there[name]]
    return tuple(
        f"The GAN has learnt {name} patients too, whose images are not among the training images here: compare with "
        f"them by --subset {name}."
        for name in others
    )


def _numbers(near: Memorisation) -> Numbers:
    return {
        name: {"smallest": float(own.min()), "median": float(np.median(own))}
        | {f"share below percentile {p}": near.share_below(p, own) for p in PERCENTILES}
        for name, own in (("synthetic", near.distances), ("held out", near.baseline))
    }


def _nearest(near: Memorisation, training: ImageSet, synthetic: ImageSet) -> dict[str, object]:
    rows = [
        {
            "synthetic": synthetic.names[i],
            "training": training.names[near.nearest[i]],
            "distance": float(near.distances[i]),
        }
        for i in near.worst(len(synthetic))
    ]
    percentiles = {str(p): near.percentile(p) for p in PERCENTILES}
    return {"percentiles": percentiles, "held_out_distances": near.baseline.tolist(), "nearest": rows}


def _worst(near: Memorisation, training: ImageSet, synthetic: ImageSet, count: int) -> list[Pair]:
    chosen = ((i, near.nearest[i]) for i in near.worst(count))
    return [
        Pair(synthetic.images[i], training.images[j], synthetic.names[i], training.names[j], float(near.distances[i]))
        for i, j in chosen
    ]
