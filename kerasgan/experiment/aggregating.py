"""`aggregate`: a class's images by the three GANs of a finished `train aggrgan`, blended and given a real style."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np
from tqdm import tqdm

from kerasgan.data.imagesets import ImageSet, write_images
from kerasgan.data.prepare import open_prepared
from kerasgan.errors import UserError
from kerasgan.experiment.devices import numerics
from kerasgan.experiment.generation import generator_of, learnt_by
from kerasgan.experiment.runs import Run, open_run, refuse_other_data
from kerasgan.files import write_text
from kerasgan.gan.settings import TrainingSettings
from kerasgan.papers import ENSEMBLES, settings_of
from kerasgan.papers.aggrgan import making
from kerasgan.papers.aggrgan.aggregation import Aggregated
from kerasgan.papers.aggrgan.categories import sequence_of
from kerasgan.papers.aggrgan.making import Base
from kerasgan.papers.aggrgan.settings import AggrganSettings
from kerasgan.papers.aggrgan.study import NAMES
from kerasgan.papers.aggrgan.style import Transferred
from kerasgan.papers.aggrgan.vgg19 import Vgg19, load_vgg19
from kerasgan.report.mosaics import image_sheet
from kerasgan.settings import differences

SHOWN = 8  # references in the picture


def aggregate(
    runs: str | Path,
    out: str | Path,
    *,
    data: str | Path | None = None,
    count: int | None = None,
    metric: str = "ssim",
    style: bool = True,
    overrides: Sequence[str] = (),
    kind: str = "png",
    bits: int = 8,
    quiet: bool = False,
) -> Path:
    """Make a class's images into the new folder `out`, which is returned.

    Args:
        runs: the folder with the finished runs dcgan1, dcgan2 and wgandiv of a class.
        data: the prepared folder, which must be the one that the runs were trained on; None: that one.
        count: how many; None: `aggregation.images` of the runs' settings.
        metric: by which the best two of three images are chosen: ssim or psnr.
        style: transfer the style of each image's reference.
        overrides: of the runs' settings `aggregation`, `style` and `measures`, such as style.weights=FILE.
        kind, bits: see `data.imagesets.write_images`.
        quiet: no progress bar.

    Beside the images: images.json; aggregate.csv (each image's reference, scores, and the GANs that were blended);
    losses.csv (eq. 16 in each iteration); figure.png.
    """
    runs, out = Path(runs), Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is not empty; give --out a new folder, since images are not mixed")
    if other := [each for each in overrides if each.split(".")[0] not in ("aggregation", "style", "measures")]:
        raise UserError(
            f"--set {other[0]}: only aggregation, style and measures can be set here, the rest is that of the runs"
        )
    members = base_runs(runs)
    first = members[0]
    settings = settings_of("dcgan1", first.folder / "config.yaml", "full", overrides)
    vgg = load_vgg19(settings.style.weights, settings.style.seed) if style else None
    prepared = open_prepared(Path(data or first.data), settings.data, settings.split)
    refuse_other_data(first, prepared)
    wanted = count or settings.aggregation.images
    references = making.references_of(prepared, settings, first.target["category"], wanted)
    generators = {run.model: generator_of(run) for run in members}
    with numerics(exact(settings)):
        base = making.generate_base(generators, references, settings.aggregation.seed)
        blended = making.aggregated(base, tuple(generators), metric, settings)
        transferred = _styled(blended, references, vgg, settings, quiet) if style else None
    final = transferred.images if transferred else blended.images
    found = making.measured(references.images, final, settings.measures)
    measures = {name: float(values.mean()) for name, values in found.items()}
    description = _description(runs, first, settings, metric, measures, transferred)
    write_images(out, [final], kind, bits, settings.data.views[0], description)
    write_text(out / "aggregate.csv", _listing(references, blended, tuple(generators), metric))
    if transferred:
        write_text(out / "losses.csv", _losses(transferred))
    _draw(out / "figure.png", members, base, blended, transferred, settings, description["origin"])
    if not quiet:
        shown = ", ".join(f"{name} {value:.3f}" for name, value in measures.items())
        by = f"; style by VGG-19 with {transferred.weights}" if transferred else ""
        click.echo(f"{shown} to the references{by}", err=True)
    return out


def base_runs(folder: Path) -> list[Run]:
    """The finished runs of a class's three GANs; a missing one is a `UserError`."""
    lacking = [name for name in ENSEMBLES["aggrgan"] if not (folder / name / "run.json").is_file()]
    if lacking:
        raise UserError(
            f"{folder} has no run of {', '.join(lacking)}; expected the folder of a class, such as runs/aggrgan/glioma "
            "or runs/aggrgan/all/glioma, made by `kerasgan train aggrgan`"
        )
    runs = [open_run(folder / name) for name in ENSEMBLES["aggrgan"]]
    first = runs[0]
    for run in runs[1:]:
        if differences(run.settings.study, first.settings.study):
            raise UserError(
                f"{run.folder} and {first.folder} were trained with different settings of study, so may have learnt "
                "one another's held-out patients; train one of them anew"
            )
        if (run.target, run.data_hash) != (first.target, first.data_hash):
            raise UserError(
                f"{run.folder} was trained on {run.target['category']} of {run.data}, {first.folder} on "
                f"{first.target['category']} of {first.data}; expected runs of one class and data: train one anew"
            )
    return runs


def exact(settings: AggrganSettings) -> TrainingSettings:
    """Numbers for what is no training of a GAN: float32, and deterministic if DCGAN-1 is."""
    return settings.dcgan1.model_copy(update={"precision": "float32"})


@contextmanager
def bar_of(images: int, settings: AggrganSettings, quiet: bool) -> Iterator[Callable[[np.ndarray], None]]:
    """A progress bar of style transfer over `images`; what `transfer` calls after each iteration."""
    total = -(-images // settings.style.batch_size) * settings.style.iterations
    with tqdm(total=total, desc="style transfer", unit="iteration", disable=quiet) as bar:

        def progress(losses: np.ndarray) -> None:
            bar.set_postfix({"loss": f"{losses.mean():.4g}"}, refresh=False)
            bar.update()

        yield progress


def _styled(
    blended: Aggregated, references: ImageSet, vgg: Vgg19, settings: AggrganSettings, quiet: bool
) -> Transferred:
    with bar_of(len(references), settings, quiet) as progress:
        return making.styled(blended.images, references, vgg, settings.style, progress)


def _description(
    runs: Path,
    first: Run,
    settings: AggrganSettings,
    metric: str,
    measures: Mapping[str, float],
    transferred: Transferred | None,
) -> dict[str, Any]:
    """What images.json says of the images."""
    category = first.target["category"]
    return {
        "origin": f"aggrgan of {category} by {metric}, trained on {first.origin}",
        "sequence": sequence_of(category, settings.study),
        "model": "aggrgan",
        "target": first.target,
        "run": runs.resolve().name,
        "trained_on": first.origin,
        "learnt": learnt_by(first.folder),
        "metric": metric,
        "measures": {name: value if np.isfinite(value) else None for name, value in measures.items()},
        "aggregation": settings.aggregation.model_dump(mode="json"),
        "style": settings.style.model_dump(mode="json") | {"weights": transferred.weights} if transferred else None,
    }


def _draw(
    path: Path,
    members: Sequence[Run],
    base: Base,
    blended: Aggregated,
    transferred: Transferred | None,
    settings: AggrganSettings,
    origin: str,
) -> None:
    """The first references, and what was made for each on the way."""
    columns = {
        f"{NAMES[run.model]}, {getattr(run.settings, run.model).epochs} epochs": base.images[run.model]
        for run in members
    }
    columns["best two, blended"] = blended.images
    if transferred:
        columns[f"after {settings.style.iterations} iterations of style transfer"] = transferred.images
    columns["real, whose style it has" if transferred else "real, its reference"] = base.references.images
    title = f"{origin}; in each row a real image that was learnt and what was made for it"
    image_sheet(path, np.stack(list(columns.values()), 1)[:SHOWN], [""], list(columns), title)


def _listing(references: ImageSet, blended: Aggregated, models: Sequence[str], metric: str) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "reference", *(f"{metric} {name}" for name in models), "blended"])
    for number, (name, scores, chosen) in enumerate(zip(references.names, blended.scores, blended.chosen, strict=True)):
        both = " ".join(models[i] for i in chosen)
        writer.writerow([f"image_{number:06d}", name, *(f"{score:.4f}" for score in scores), both])
    return text.getvalue()


def _losses(transferred: Transferred) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["iteration", *(f"image_{number:06d}" for number in range(transferred.losses.shape[1]))])
    for iteration, values in enumerate(transferred.losses):
        writer.writerow([iteration, *(f"{value:.6g}" for value in values)])
    return text.getvalue()
