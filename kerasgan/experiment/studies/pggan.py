"""`reproduce pggan`: the study of Alam et al.

STUDY/
    pggan/                        the PGGAN of both classes
    dcgan/normal/ abnormal/       a DCGAN of each
    encoder.keras                 the feature space, where gan_train.backbone is "encoder"
    gan_train.json                GAN-train, GAN-test and the distances, with what they were made of
    tables.md  table1.csv  gan_test.csv  distances.csv  results.json  figure3.png
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kerasgan.data.imagesets import ImageSet, joined, visits_with
from kerasgan.data.modalities import DISPLAY
from kerasgan.data.pipeline import count_slices
from kerasgan.data.prepare import Prepared
from kerasgan.errors import UserError
from kerasgan.evaluation.encoder import EncoderSettings
from kerasgan.evaluation.features import Backbone, backbone
from kerasgan.evaluation.gan_train import GanTrain, SvmSettings, gan_train
from kerasgan.experiment.generation import GENERATOR, generator_hash
from kerasgan.experiment.images import image_set
from kerasgan.experiment.studies import common
from kerasgan.experiment.studies.common import Step, Words, begun, encode, folder_of, is_encoded, read_note, take
from kerasgan.experiment.training import is_done
from kerasgan.files import sha256_of, write_text
from kerasgan.metrics.frechet import frechet_distance
from kerasgan.metrics.inception_score import inception_score
from kerasgan.metrics.sliced_wasserstein import sliced_wasserstein_by_level
from kerasgan.papers import settings_of
from kerasgan.papers.pggan import study
from kerasgan.papers.pggan.settings import PgganSettings
from kerasgan.report.mosaics import image_sheet
from kerasgan.settings import flat

SHOWN = 8  # images of a line in the figure
SPLITS = 10  # of the inception score, as papers take
MOST_STEPS = 5000  # of the logistic regression's solver


@dataclass(frozen=True)
class Study(common.Study):
    """Where the parts of the study are kept, and what they are made with."""

    settings: PgganSettings

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
        }
        # What decides how it is computed, and not what.
        numerics = ("seed", "precision", "jit", "strategy", "deterministic")
        chosen |= {f"dcgan.{name}": getattr(self.settings.pggan, name) for name in numerics}
        overrides = tuple(f"{key}={json.dumps(value)}" for key, value in chosen.items())
        return {"config": None, "profile": "full", "overrides": overrides}

    def runs(self) -> list[tuple[str, str, Path, Mapping[str, Any], dict[str, Any]]]:
        """Title, model, folder, configuration and target of each run."""
        target = {"sequence": self.settings.study.modality, "size": self.settings.data.size}
        others = [
            (f"DCGAN of {name}", "dcgan", self.dcgan(name), self.dcgan_options(name), target) for name in self.classes
        ]
        return [("PGGAN", "pggan", self.pggan, self.options, {}), *others]

    def images(self, source: Path, subset: str, category: str, count: int | None, seed: int) -> ImageSet:
        """Images of a class: real ones of a subset, or those that a run makes."""
        own = self.settings.study
        where = f"{own.label}={category}"
        chosen = {"sequence": own.modality, "subset": subset, "where": where, "partition": own.partition}
        return image_set(source, count=count, seed=seed, category=category, **chosen)


def reproduce_pggan(**words: Unpack[Words]) -> Path:
    """Train what is missing, resume what was interrupted, judge by GAN-train, and write the tables.

    `words`: see `common.Words`. Returns the folder of the study.
    """
    settings = settings_of("pggan", words.get("config"), words.get("profile", "full"), words.get("overrides", ()))
    work, dry_run = begun(Study, "pggan", settings, words), words.get("dry_run", False)
    if work:
        _check(work)
        take(_steps(work), dry_run, work.quiet)
    if work and not dry_run:
        _write_tables(work)
        work.show_tables()
    return folder_of("pggan", words)


def _check(work: Study) -> None:
    """What would stop the study after days of training is found out before."""
    if work.settings.network.class_from is None:
        raise UserError(
            "GAN-train needs images of two classes, and network.class_from=null makes a generator that knows none; "
            "give it a resolution"
        )
    for _, model, folder, options, target in work.runs():
        work.check(model, folder, options=options, **target)
    if not work.encoder:
        backbone(work.settings.gan_train.backbone)  # its weights


def _steps(work: Study) -> list[Step]:
    """What is to be done, whether it is, and how, in order."""
    steps: list[Step] = [
        (
            title,
            partial(is_done, folder, model, options, work.prepared),
            partial(work.train, model, folder, options=options, **target),
        )
        for title, model, folder, options, target in work.runs()
    ]
    if work.encoder:
        encoder = _encoder(work)
        steps.append(("features of real images", partial(is_encoded, *encoder), partial(encode, *encoder, work.quiet)))
    steps.append(("GAN-train", partial(_is_judged, work), partial(_judge, work)))
    return steps


def _encoded(work: Study) -> dict[str, Any]:
    """The images that the encoder learns."""
    own, prepared = work.settings.study, work.prepared
    count = min(common.ENCODER_IMAGES, count_slices(visits_with(prepared, own.modality, "train", own.partition)))
    chosen = {"sequence": own.modality, "subset": "train", "where": None, "partition": own.partition, "size": None}
    return chosen | {"count": count}


def _encoder(work: Study) -> tuple[Path, EncoderSettings, dict[str, Any], Prepared]:
    """The encoder as `common.is_encoded` and `common.encode` take it."""
    own = work.settings.gan_train
    return work.encoder, EncoderSettings(epochs=own.encoder_epochs, seed=own.seed), _encoded(work), work.prepared


# ---- GAN-train ------------------------------------------------------------------------------------------------------


def _made_from(work: Study) -> dict[str, Any]:
    """What gan_train.json depends on."""
    runs = {"pggan": work.pggan} | {category: work.dcgan(category) for category in work.classes}
    hashes = {name: generator_hash(run) for name, run in runs.items()}
    if work.encoder:
        hashes["encoder"] = sha256_of(work.encoder)
    return hashes | {"settings": work.settings.gan_train.model_dump(mode="json"), "data": work.prepared.hash}


def _is_judged(work: Study) -> bool:
    needed = [folder / GENERATOR for _, _, folder, _, _ in work.runs()] + ([work.encoder] if work.encoder else [])
    if not all(path.is_file() for path in (work.result, *needed)):
        return False
    return read_note(work.result)["made_from"] == _made_from(work)


def _judge(work: Study) -> None:
    """GAN-train and GAN-test of both GANs, and the distances, into gan_train.json."""
    own, seed = work.settings.gan_train, work.settings.gan_train.seed
    space = backbone(str(work.encoder) if work.encoder else own.backbone)

    def made(source, repeat: int) -> dict[str, ImageSet]:
        return {name: work.images(source(name), "all", name, own.images, seed + repeat) for name in work.classes}

    def real(subset: str) -> dict[str, ImageSet]:
        # As many to learn from as generated ones, where there are as many.
        count = min(own.images, *(_there(work, subset, name) for name in work.classes)) if subset == "train" else None
        return {name: work.images(work.prepared.folder, subset, name, count, seed) for name in work.classes}

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


def _there(work: Study, subset: str, category: str) -> int:
    """How many real images of a class a subset has."""
    own = work.settings.study
    return count_slices(visits_with(work.prepared, own.modality, subset, own.partition, own.label, category))


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
    found["training images"]["IS"] = float("nan")  # the regression has learnt these very images
    about = [
        f"Of {count} images per class, to as many real ones of test patients. FID in the features of GAN-train; the "
        "inception score by a logistic regression on these features that has learnt the real classes, so it is at most "
        "2 and compares these rows alone; smaller distances are better. Of the first set of generated images."
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
    content = read_note(work.result)
    settings, origin = work.settings, work.prepared.manifest.origin
    tables = [study.Table(**each) for each in content["rows"].values()]
    length = (
        f"PGGAN {settings.pggan.steps} steps (20000) of {settings.pggan.batch_size} images (4) at a rate of "
        f"{settings.pggan.learning_rate:g} (2e-4), flips by {settings.pggan.flip_by}: {settings.pggan.flip_every} "
        f"(3; 0 is never), channels {settings.network.scale:g} of Karras's; DCGAN {settings.dcgan.steps} "
        f"steps; images of {settings.data.size} (256)"
    )
    work.write_tables("Alam et al.", length, tables)
    results = {"data": origin, "length": length} | {key: content[key] for key in ("result", "rows")}
    write_text(work.folder / "results.json", json.dumps(results, indent=1))
    _draw(work)


def _draw(work: Study) -> None:
    """Figure 3: for each class a line of PGGAN's images, of DCGAN's, and of real ones of test patients."""
    lines, settings = {}, work.settings
    seed = settings.gan_train.seed
    for category in work.classes:
        for name, source in (("PGGAN", work.pggan), ("DCGAN", work.dcgan(category))):
            lines[f"{category}, {name}"] = made = work.images(source, "all", category, SHOWN, seed).images
        count = min(SHOWN, _there(work, "test", category))
        real = work.images(work.prepared.folder, "test", category, count, seed).images
        repeated = "" if count == SHOWN else f", {count} repeated"
        lines[f"{category}, real{repeated}"] = np.resize(real, made.shape)
    title = (
        f"PGGAN after {settings.pggan.steps} and DCGAN after {settings.dcgan.steps} generator steps, real images of "
        f"test patients; {DISPLAY[settings.study.modality]}; data: {work.prepared.manifest.origin}"
    )
    image_sheet(work.folder / "figure3.png", np.stack(list(lines.values())), list(lines), [""], title)
