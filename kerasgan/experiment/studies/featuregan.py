"""`reproduce featuregan`: the study of Mehra et al. 2022.

STUDY/
    unet/                                 the U-Net
    features/                             of the block that is studied, of every slice
    acgan/width-64/ width-256/ width-512/
    synthetic/                            features of the AC-GAN of sweep.width whose class its discriminator tells
    classifier/0000/seed-1/ ...           a training per number of synthetic features and seed
    tables.md  table2.csv  class_accuracy.csv  table3.csv  results.json  sweep.png  figure9.png  figure10_64.png ...
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from kerasgan.errors import UserError
from kerasgan.experiment.features import extract_features, generate_features
from kerasgan.experiment.runs import open_run
from kerasgan.experiment.studies import common
from kerasgan.experiment.studies.common import Step, Words, begun, folder_of, read_note, take
from kerasgan.experiment.tasks import TASKS
from kerasgan.experiment.training import is_done
from kerasgan.files import remove, sha256_of, write_text, written_aside
from kerasgan.papers import settings_of
from kerasgan.papers.featuregan import published, study
from kerasgan.papers.featuregan.generation import CRITIC, GENERATOR, class_accuracy_table
from kerasgan.papers.featuregan.segmentation import NETWORK, first_weights
from kerasgan.papers.featuregan.settings import FeatureganSettings
from kerasgan.papers.featuregan.store import FeatureStore, open_features
from kerasgan.papers.featuregan.study import Point, interval
from kerasgan.report.sweep import sweep_plot


@dataclass(frozen=True)
class Study(common.Study):
    """Where the parts of the study are kept."""

    settings: FeatureganSettings

    @property
    def unet(self) -> Path:
        return self.folder / "unet"

    @property
    def features(self) -> FeatureStore:
        return open_features(self.folder / "features")

    def acgan(self, width: int) -> Path:
        return self.folder / "acgan" / f"width-{width}"

    @property
    def synthetic(self) -> Path:
        return self.folder / "synthetic"

    def classifier(self, count: int, repeat: int) -> Path:
        return self.folder / "classifier" / f"{count:04}" / f"seed-{self.seed(repeat)}"

    def seed(self, repeat: int) -> int:
        """Of a classifier's training."""
        return self.settings.feature_classifier.seed + repeat


def reproduce_featuregan(**words: Unpack[Words]) -> Path:
    """Train what is missing, resume what was interrupted, and write the tables and the plot.

    `words`: see `common.Words`. Returns the folder of the study.
    """
    settings = settings_of("unet", words.get("config"), words.get("profile", "full"), words.get("overrides", ()))
    work = begun(Study, "featuregan", settings, words)
    if work:
        work.check("unet", work.unet)  # looks at the patients' classes too
        take(_steps(work), words.get("dry_run", False), work.quiet)
    if work and not words.get("dry_run"):
        _write_tables(work)
        work.show_tables()
    return folder_of("featuregan", words)


def _steps(work: Study) -> list[Step]:
    """What is to be done, whether it is, and how, in order."""
    sweep = work.settings.sweep
    steps: list[Step] = [
        ("U-Net", partial(is_done, work.unet, "unet", work.options, work.prepared), partial(_train_unet, work)),
        ("features", partial(_is_noted, work, "features", _extraction), partial(_extract, work)),
    ]
    steps += [
        (TASKS["acgan"].title({"width": width}), partial(_is_gan_done, work, width), partial(_train_gan, work, width))
        for width in sweep.widths
    ]
    steps.append(("synthetic features", partial(_is_noted, work, "synthetic", _synthesis), partial(_generate, work)))
    steps += [
        (
            f"classifier with {count} synthetic features, {repeat + 1} of {sweep.repeats}",
            partial(_is_classified, work, count, repeat),
            partial(_classify, work, count, repeat),
        )
        for count in sweep.counts
        for repeat in range(sweep.repeats)
    ]
    return steps


def _train_unet(work: Study) -> None:
    work.train("unet", work.unet)


# ---- features on disk, and a note of what they were made of ---------------------------------------------------------


def _extraction(work: Study) -> dict[str, Any]:
    return {"unet": sha256_of(work.unet / NETWORK), **work.settings.features.model_dump(mode="json")}


def _synthesis(work: Study) -> dict[str, Any]:
    run, own = work.acgan(work.settings.sweep.width), work.settings.acgan
    return {
        "generator": sha256_of(run / GENERATOR),
        "critic": sha256_of(run / CRITIC),
        "features": work.features.hash,
        "samples": own.samples,
        "seed": own.seed,
    }


def _is_noted(work: Study, name: str, wanted) -> bool:
    note = work.folder / f"{name}.json"
    gan = work.acgan(work.settings.sweep.width)
    networks = [work.unet / NETWORK, *([gan / GENERATOR, gan / CRITIC] if name == "synthetic" else [])]
    if not all(path.is_file() for path in (note, work.folder / name / "manifest.json", *networks)):
        return False
    return read_note(note) == wanted(work)


def _begin(work: Study, name: str, wanted: dict[str, Any]) -> Path:
    """The folder of features to write; what was made of something else is removed, what was begun goes on."""
    note, folder = work.folder / f"{name}.json", work.folder / name
    if note.is_file() and read_note(note) != wanted:
        if name == "features" and (work.folder / "acgan").exists():
            raise UserError(
                f"{folder} was made of another U-Net or with other settings, and the AC-GANs beside it have learnt "
                "from it; run the study into another folder (--out)"
            )
        remove(folder)
    write_text(note, json.dumps(wanted))
    return folder


def _extract(work: Study) -> None:
    folder, own = _begin(work, "features", _extraction(work)), work.settings.features
    extract_features(work.unet, folder, block=own.block, dtype=own.dtype, quiet=work.quiet)


def _generate(work: Study) -> None:
    folder = _begin(work, "synthetic", _synthesis(work))
    own = work.settings.acgan
    run = work.acgan(work.settings.sweep.width)
    generate_features(run, folder, count=own.samples, seed=own.seed, quiet=work.quiet)


# ---- AC-GANs and classifiers ----------------------------------------------------------------------------------------


def _is_gan_done(work: Study, width: int) -> bool:
    if not (work.folder / "features" / "manifest.json").is_file():
        return False
    return is_done(work.acgan(width), "acgan", work.options, work.features)


def _train_gan(work: Study, width: int) -> None:
    work.train("acgan", work.acgan(width), data=work.features.folder, width=width)


def _words(work: Study, count: int) -> dict[str, Any]:
    """A classifier's words of the command line."""
    return {"synthetic": work.synthetic, "count": count} if count else {}


def _is_classified(work: Study, count: int, repeat: int) -> bool:
    folder = work.classifier(count, repeat)
    if not ((folder / "run.json").is_file() and (work.synthetic / "manifest.json").is_file()):
        return False
    if not _learnt_these(work, folder, count):
        return False
    return is_done(folder, "feature-classifier", _options(work, repeat), work.features)


def _learnt_these(work: Study, folder: Path, count: int) -> bool:
    """Whether a run is of the synthetic features that are there; the study may have been moved."""
    asked = TASKS["feature-classifier"].target(**_words(work, count))
    known = open_run(folder, finished=False).target
    return all(known[name] == asked[name] for name in ("synthetic_hash", "count"))


def _classify(work: Study, count: int, repeat: int) -> None:
    folder = work.classifier(count, repeat)
    if (folder / "run.json").is_file() and not _learnt_these(work, folder, count):
        remove(folder)  # of synthetic features that have been made anew
    more = {"data": work.features.folder, "options": _options(work, repeat)}
    work.train("feature-classifier", folder, **more, **_words(work, count))


def _options(work: Study, repeat: int) -> dict[str, Any]:
    """Of a classifier's training."""
    seed = f"feature_classifier.seed={work.seed(repeat)}"
    return {**work.options, "overrides": (*work.options["overrides"], seed)}


# ---- tables ---------------------------------------------------------------------------------------------------------


def _metrics(folder: Path) -> dict[str, Any]:
    return read_note(folder / "metrics.json")


def _write_tables(work: Study) -> None:
    settings, origin, sweep = work.settings, work.prepared.manifest.origin, work.settings.sweep
    unet, gans = _metrics(work.unet), [_metrics(work.acgan(width)) for width in sweep.widths]
    points = []
    for count in sweep.counts:
        runs = [_metrics(work.classifier(count, repeat)) for repeat in range(sweep.repeats)]
        values = {name: [run["network"][name] for run in runs] for name in study.MEASURES}
        points.append(Point(count, runs[0]["added"], values))
    baseline = _metrics(work.classifier(0, 0))
    held_out = " and ".join(f"{number} {name}" for name, number in baseline["held_out"].items())
    notes = [
        f"Mean of {sweep.repeats} trainings and its {100 * sweep.confidence:.0f} % interval, which says how far "
        f"trainings differ, not how far patients do; on {held_out} real slices of {baseline['patients']} held-out "
        "patients. Added are "
        f"features of the AC-GAN of width {sweep.width} whose class its discriminator tells right"
        + {"both": "", "positive": f", of {settings.study.positive}", "negative": f", of {settings.study.negative}"}[
            settings.feature_classifier.added
        ]
        + ". Chance is 0.5 of the balanced accuracy and of the AUC."
    ]
    tables = [
        study.unet_table(unet, settings.unet.loss),
        class_accuracy_table(gans, settings.study),
        study.sweep_table(points, baseline["linear"], settings.study, sweep.confidence, notes),
    ]
    own = settings.unet
    length = (
        f"U-Net {own.epochs} epochs (30) at a rate of {own.learning_rate:g} (1e-5), weights to begin with: "
        f"{first_weights(own)} (of BraTS); AC-GAN {settings.acgan.epochs} epochs (50); slices of "
        f"{settings.data.size} (240), {settings.data.selection} (all); features of {settings.features.block} "
        f"{'x'.join(map(str, work.features.shape))} (15x15x1024)"
    )
    work.write_tables("Mehra et al. 2022", length, tables)
    content = {
        "data": origin,
        "length": length,
        "unet": unet,
        "acgan": gans,
        "linear": baseline["linear"],
        "sweep": [asdict(point) for point in points],
    }
    write_text(work.folder / "results.json", json.dumps(content, indent=1))
    _draw(work, points)


def _draw(work: Study, points: Sequence[Point]) -> None:
    own, sweep = work.settings.study, work.settings.sweep
    names = {"class1": own.positive, "class0": own.negative, "balanced": "balanced"}
    series = {
        shown: [interval(point.values[name], sweep.confidence) for point in points] for name, shown in names.items()
    }
    theirs = {
        shown: {count: row[place] for count, row in published.TABLE_3.items()}
        for place, shown in enumerate((own.positive, own.negative))
    }
    sweep_plot(
        work.folder / "sweep.png",
        [point.count for point in points],
        series,
        theirs,
        ("synthetic features added", "accuracy on real held-out slices"),
        f"Lines: ours, mean of {sweep.repeats} trainings with its {sweep.confidence:.0%} interval, on "
        f"{work.prepared.manifest.origin}; circles: Mehra et al., Table 3, on REMBRANDT",
    )
    pictures = {f"figure10_{width}.png": work.acgan(width) / "figure10.png" for width in sweep.widths}
    for name, source in {"figure9.png": work.acgan(sweep.width) / "figure9.png", **pictures}.items():
        with written_aside(work.folder / name) as aside:
            shutil.copyfile(source, aside)
