"""`reproduce pggan`: the study of Alam et al.

STUDY/
    pggan/                        the PGGAN of both classes
    dcgan/normal/ abnormal/       a DCGAN of each
    encoder.keras                 the feature space, where gan_train.backbone is "encoder"
    gan_train.json                GAN-train, GAN-test and the distances, with what they were made of
    tables.md  table1.csv  gan_test.csv  distances.csv  results.json  figure3.png
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kerasgan.data.imagesets import ImageSet, joined
from kerasgan.data.prepare import Prepared, open_prepared
from kerasgan.evaluation.features import Backbone, backbone
from kerasgan.evaluation.gan_train import GanTrain, SvmSettings, gan_train
from kerasgan.experiment.comparison import train_image_encoder
from kerasgan.experiment.generation import generator_hash
from kerasgan.experiment.images import image_set
from kerasgan.experiment.preparation import is_simulated, simulated
from kerasgan.experiment.studies.common import Step, take
from kerasgan.experiment.training import is_done, train
from kerasgan.files import remove, write_text
from kerasgan.metrics.frechet import frechet_distance
from kerasgan.metrics.inception_score import inception_score
from kerasgan.metrics.sliced_wasserstein import sliced_wasserstein_by_level
from kerasgan.papers import settings_of
from kerasgan.papers.pggan import study
from kerasgan.papers.pggan.settings import PgganSettings
from kerasgan.report.mosaics import write_mosaic
from kerasgan.settings import flat

ENCODER_IMAGES = 2000  # at most, of an encoder's training
SHOWN = 8  # images of a line in the figure
SPLITS = 10  # of the inception score, as papers take
MOST_STEPS = 5000  # of the logistic regression's solver


@dataclass(frozen=True)
class Study:
    """Where a study is kept, on which data, and with which words of the command line."""

    folder: Path
    prepared: Prepared
    settings: PgganSettings
    options: dict[str, Any]  # config, profile, overrides
    keep_checkpoints: bool
    quiet: bool

    @property
    def pggan(self) -> Path:
        return self.folder / "pggan"

    def dcgan(self, category: str) -> Path:
        return self.folder / "dcgan" / category

    @property
    def classes(self) -> tuple[str, str]:
        """The positive one first."""
        return self.settings.study.classes[::-1]

    @property
    def encoder(self) -> Path | None:
        return self.folder / "encoder.keras" if self.settings.gan_train.backbone == "encoder" else None

    @property
    def result(self) -> Path:
        return self.folder / "gan_train.json"

    def dcgan_options(self, category: str) -> dict[str, Any]:
        """Configuration of a class's DCGAN: configs/brainmr.yaml on this study's data."""
        own, study = self.settings.dcgan, self.settings.study
        chosen = {f"data.{key}": value for key, value in flat(self.settings.data).items()}
        chosen |= {f"split.{key}": value for key, value in flat(self.settings.split).items()}
        chosen |= {
            "study.label": study.label,
            "study.value": category,
            "study.held_out": True,
            "study.partition": study.partition,
            "network.filters": list(own.filters),
            "dcgan.batch_size": own.batch_size,
            "dcgan.epochs": own.steps // own.steps_per_epoch,
            "dcgan.steps_per_epoch": own.steps_per_epoch,
            "dcgan.precision": self.settings.pggan.precision,
        }
        overrides = tuple(f"{key}={json.dumps(value)}" for key, value in chosen.items())
        return {"config": None, "profile": "full", "overrides": overrides}

    def images(self, source: Path, subset: str, category: str, count: int | None, seed: int) -> ImageSet:
        """Images of a class: real ones of a subset, or those that a run makes."""
        own = self.settings.study
        where = f"{own.label}={category}"
        chosen = {"sequence": own.modality, "subset": subset, "where": where, "partition": own.partition}
        return image_set(source, count=count, seed=seed, category=category, **chosen)


def reproduce_pggan(
    *,
    data: str | Path | None = None,
    config: str | Path | None = None,
    profile: str = "full",
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    keep_checkpoints: bool = False,
    dry_run: bool = False,
    quiet: bool = False,
) -> Path:
    """Train what is missing, resume what was interrupted, judge by GAN-train, and write the tables.

    Args:
        data: a prepared folder; None: the simulated cohort of the settings.
        config, profile, overrides: see `papers.settings_of`.
        out: the study's folder; default runs/pggan/study, or study-PROFILE.
        keep_checkpoints: of finished runs.
        dry_run: say what would be done.
        quiet: no progress.

    Returns the folder of the study.
    """
    settings = settings_of("pggan", config, profile, overrides)
    folder = Path(out or Path("runs") / "pggan" / ("study" if profile == "full" else f"study-{profile}"))
    if dry_run and data is None and not is_simulated(settings):
        click.echo(f"would simulate {settings.phantom.patients} patients and run the study into {folder}")
        return folder
    if settings.gan_train.backbone != "encoder" and not dry_run:
        backbone(settings.gan_train.backbone)  # that its weights cannot be had should not come out after the training
    prepared = open_prepared(Path(data), settings.data, settings.split) if data else simulated(settings, quiet)
    options = {"config": config, "profile": profile, "overrides": tuple(overrides)}
    work = Study(folder, prepared, settings, options, keep_checkpoints, quiet)
    if not quiet:
        click.echo(f"data: {prepared.manifest.origin}", err=True)
    take(_steps(work), dry_run, quiet)
    if not dry_run:
        _write_tables(work)
    return folder


def _steps(work: Study) -> list[Step]:
    """What is to be done, whether it is, and how, in order."""
    steps: list[Step] = [
        ("PGGAN", partial(is_done, work.pggan, "pggan", work.options, work.prepared), partial(_train_pggan, work))
    ]
    for category in work.classes:
        done = partial(is_done, work.dcgan(category), "dcgan", work.dcgan_options(category), work.prepared)
        steps.append((f"DCGAN of {category}", done, partial(_train_dcgan, work, category)))
    if work.encoder:
        steps.append(("features of real images", work.encoder.is_file, partial(_train_encoder, work)))
    steps.append(("GAN-train", partial(_is_judged, work), partial(_judge, work)))
    return steps


def _train(work: Study, model: str, folder: Path, options: Mapping[str, Any], **target: Any) -> None:
    more = {"data": work.prepared.folder, "run_dir": folder, "quiet": work.quiet}
    train(model, resume=(folder / "run.json").is_file(), **target, **more, **options)
    if not work.keep_checkpoints:  # optimizer moments make up most of a run's hundreds of megabytes
        remove(folder / "checkpoints")


def _train_pggan(work: Study) -> None:
    _train(work, "pggan", work.pggan, work.options)


def _train_dcgan(work: Study, category: str) -> None:
    target = {"sequence": work.settings.study.modality, "size": work.settings.data.size}
    _train(work, "dcgan", work.dcgan(category), work.dcgan_options(category), **target)


def _train_encoder(work: Study) -> None:
    own, study = work.settings.gan_train, work.settings.study
    chosen = {"sequence": study.modality, "subset": "train", "partition": study.partition}
    there = len(image_set(work.prepared.folder, **chosen))
    train_image_encoder(
        real=work.prepared.folder,
        out=work.encoder,
        count=min(ENCODER_IMAGES, there),
        seed=own.seed,
        epochs=own.encoder_epochs,
        quiet=work.quiet,
        **chosen,
    )


# ---- GAN-train ------------------------------------------------------------------------------------------------------


def _made_from(work: Study) -> dict[str, Any]:
    """What gan_train.json depends on."""
    runs = {"pggan": work.pggan} | {category: work.dcgan(category) for category in work.classes}
    hashes = {name: generator_hash(run) for name, run in runs.items()}
    if work.encoder:
        hashes["encoder"] = hashlib.sha256(work.encoder.read_bytes()).hexdigest()
    return hashes | {"settings": work.settings.gan_train.model_dump(mode="json"), "data": work.prepared.hash}


def _is_judged(work: Study) -> bool:
    if not work.result.is_file() or (work.encoder and not work.encoder.is_file()):
        return False
    return json.loads(work.result.read_text(encoding="utf-8"))["made_from"] == _made_from(work)


def _judge(work: Study) -> None:
    """GAN-train and GAN-test of both GANs, and the distances, into gan_train.json."""
    own, seed = work.settings.gan_train, work.settings.gan_train.seed
    space = backbone(str(work.encoder) if work.encoder else own.backbone)

    def made(source, repeat: int) -> dict[str, ImageSet]:
        return {name: work.images(source(name), "all", name, own.images, seed + repeat) for name in work.classes}

    def real(subset: str) -> dict[str, ImageSet]:
        whole = {name: work.images(work.prepared.folder, subset, name, None, seed) for name in work.classes}
        # As many to learn from as generated ones, where there are as many.
        count = min(own.images, *map(len, whole.values())) if subset == "train" else None
        return {name: each.sample(count, seed) if count else each for name, each in whole.items()}

    sources = {"PGGAN": lambda name: work.pggan, "DCGAN": work.dcgan}
    generated = {name: [made(source, i) for i in range(own.repeats)] for name, source in sources.items()}
    test, training = real("test"), real("train")
    result = gan_train(
        generated,
        test,
        training,
        positive=work.settings.study.positive,
        space=space,
        settings=SvmSettings(own.penalty, own.bootstrap, own.confidence, seed),
        quiet=work.quiet,
    )
    sets = {name: each[0] for name, each in generated.items()} | {"training images": training}
    content = {
        "made_from": _made_from(work),
        "result": asdict(result),
        "rows": {table.name: asdict(table) for table in _judged_tables(work, result, space, sets, test, training)},
    }
    write_text(work.result, json.dumps(content, indent=1, allow_nan=False))


def _judged_tables(
    work: Study,
    result: GanTrain,
    space: Backbone,
    sets: Mapping[str, Mapping[str, ImageSet]],
    test: Mapping[str, ImageSet],
    training: Mapping[str, ImageSet],
) -> list[study.Table]:
    own, side = work.settings.gan_train, result.reference.test
    patients = " and ".join(f"{side.patients[name]} {name}" for name in work.classes)
    images = " and ".join(f"{side.images[name]} {name}" for name in work.classes)
    notes = [
        f"Tested on {images} images of {patients} patients whom no GAN has seen. Means over {own.repeats} sets of "
        f"{own.images} generated images per class; intervals of {own.confidence:.0%} draw the test "
        f"{result.reference.resampled} anew. Features: {result.features}. Chance is 0.5."
    ]
    count = min(len(each) for classes in (*sets.values(), test) for each in classes.values())
    tested = _joined(test, count, own.seed)
    probability = _class_probability(space, training)
    found = {
        name: _distances(_joined(each, count, own.seed), tested, space, probability, own.seed)
        for name, each in sets.items()
    }
    about = [
        f"Of {count} images per class, to as many real ones of test patients. FID in the features of GAN-train; the "
        "inception score by a logistic regression on these features that has learnt the real classes, so it is at most "
        "2 and compares these rows alone; smaller distances are better."
    ]
    return [study.gan_train_table(result, notes), study.gan_test_table(result), study.distance_table(found, about)]


def _joined(classes: Mapping[str, ImageSet], count: int, seed: int) -> ImageSet:
    """As many images of each class, in random order."""
    whole = joined([each.sample(count, seed) for each in classes.values()])
    return whole.take(np.random.default_rng(seed).permutation(len(whole)))


def _class_probability(space: Backbone, training: Mapping[str, ImageSet]):
    features = np.concatenate([space.features(each.images) for each in training.values()])
    truth = np.repeat(np.arange(len(training)), [len(each) for each in training.values()])
    fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=MOST_STEPS)).fit(features, truth)
    return fitted.predict_proba


def _distances(made: ImageSet, real: ImageSet, space: Backbone, probability, seed: int) -> dict[str, float]:
    features = space.features(made.images)
    score, _ = inception_score(probability(features), min(SPLITS, len(made)))
    found = {"IS": score, "FID": frechet_distance(space.features(real.images), features)}
    levels = sliced_wasserstein_by_level(real.images, made.images, seed=seed)
    return found | {f"SWD {pixels} px": float(value) for pixels, value in levels.items()}


# ---- tables ---------------------------------------------------------------------------------------------------------


def _write_tables(work: Study) -> None:
    content = json.loads(work.result.read_text(encoding="utf-8"))
    settings, origin = work.settings, work.prepared.manifest.origin
    tables = [study.Table(**each) for each in content["rows"].values()]
    length = (
        f"PGGAN {settings.pggan.steps} steps (20000) of {settings.pggan.batch_size} images (4), DCGAN "
        f"{settings.dcgan.steps}; images of {settings.data.size} (256)"
    )
    head = f"# Alam et al.: the study\n\nOurs on: {origin}\n\n{length}\n\n"
    write_text(work.folder / "tables.md", head + "\n".join(table.markdown() for table in tables))
    for table in tables:
        write_text(work.folder / f"{table.name}.csv", table.csv(origin))
    results = {"data": origin, "length": length} | {key: content[key] for key in ("result", "rows")}
    write_text(work.folder / "results.json", json.dumps(results, indent=1))
    _draw(work)
    click.echo((work.folder / "tables.md").read_text(encoding="utf-8"))


def _draw(work: Study) -> None:
    """Figure 3: for each class a line of PGGAN's images, of DCGAN's, and of real ones of test patients."""
    lines, seed = [], work.settings.gan_train.seed
    for category in work.classes:
        for source in (work.pggan, work.dcgan(category)):
            lines.append(work.images(source, "all", category, SHOWN, seed).images)
        real = work.images(work.prepared.folder, "test", category, None, seed)
        lines.append(np.resize(real.sample(min(SHOWN, len(real)), seed).images, lines[0].shape))
    write_mosaic(work.folder / "figure3.png", np.concatenate(lines), SHOWN)
