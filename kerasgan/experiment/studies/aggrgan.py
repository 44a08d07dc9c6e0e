"""`reproduce aggrgan`: the study of Mukherjee et al. 2022.

STUDY/
    gans/glioma/dcgan1/ ...              a run per class and model
    images/glioma/DCGAN-1.npz ...        the images of each row, and real.npz, their references
    images/glioma.json                   measures, losses, what the images were made from
    classification/tumours/vgg19.json    a network's results in the cases of Table 5
    tables.md  table1.csv ... results.json
    figure3.png ... figure6.png          a class in each line: what the tables measure

Classes are the tumours that the data has (the paper's brain tumour dataset: Tables 1, 3, 5) and the modalities (BraTS
2020: Tables 2, 4, 5).
"""

import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Unpack

import click
import keras
import numpy as np

from kerasgan.data.imagesets import ImageSet, of_visits
from kerasgan.data.modalities import DISPLAY
from kerasgan.errors import UserError, nearest
from kerasgan.experiment.aggregating import bar_of, exact
from kerasgan.experiment.devices import numerics
from kerasgan.experiment.generation import GENERATOR, generator_hash, generator_of
from kerasgan.experiment.runs import open_run
from kerasgan.experiment.studies import common
from kerasgan.experiment.studies.common import Step, Words, begun, folder_of, read_note, take
from kerasgan.experiment.tasks import TASKS
from kerasgan.experiment.training import is_done
from kerasgan.files import sha256_of, write_text, written_aside
from kerasgan.papers import settings_of
from kerasgan.papers.aggrgan import categories, classification, cnns, making, study
from kerasgan.papers.aggrgan.classification import CaseSettings, Labelled, Result
from kerasgan.papers.aggrgan.cnns import SMALL
from kerasgan.papers.aggrgan.published import CASES, STYLED
from kerasgan.papers.aggrgan.settings import AggrganSettings
from kerasgan.papers.aggrgan.study import AGGRGAN, BASE, COMPARED, NAMES, UNSTYLED, Score
from kerasgan.papers.aggrgan.vgg19 import Vgg19, load_vgg19
from kerasgan.report.mosaics import image_sheet

MODELS = (*BASE, *COMPARED)
# Each once, in order.
_METHODS = dict.fromkeys((*study.ROWS, *study.COMPARED_ROWS))
KINDS = {"tumours": categories.tumours_of, "modalities": categories.modalities_of}
REAL = "real"
CLASSIFIED = AGGRGAN["ssim"]  # whose images Table 5 is about (assumed)
_LEFT = tuple(NAMES[model] + suffix for model in BASE for suffix in ("", STYLED))
# Figure -> kind of classes, and the columns of its lines.
FIGURES = {
    "figure3.png": ("tumours", (*_LEFT, *AGGRGAN.values(), REAL)),
    "figure4.png": ("modalities", (*_LEFT, *AGGRGAN.values(), REAL)),
    "figure5.png": ("tumours", (*study.COMPARED_ROWS, REAL)),
    "figure6.png": ("modalities", (*study.COMPARED_ROWS, REAL)),
}


@dataclass(frozen=True)
class Study(common.Study):
    """Where the parts of the study are kept."""

    settings: AggrganSettings

    @cached_property
    def vgg(self) -> Vgg19:
        """The network of style transfer."""
        return load_vgg19(self.settings.style.weights, self.settings.style.seed)

    def run(self, category: str, model: str) -> Path:
        return self.folder / "gans" / category / model

    def images(self, category: str, method: str) -> Path:
        return self.folder / "images" / category / f"{method.replace(' ', '_')}.npz"

    def note(self, category: str) -> Path:
        return self.folder / "images" / f"{category}.json"

    def results(self, kind: str, network: str) -> Path:
        return self.folder / "classification" / kind / f"{network}.json"


def reproduce_aggrgan(*, classes: Sequence[str] = (), **words: Unpack[Words]) -> Path:
    """Train what is missing of the five GANs of each class, make their images, classify, and write the tables.

    Args:
        classes: "tumours", "modalities" or both; none: those that the data has.
        words: see `common.Words`.

    Returns the folder of the study.
    """
    settings = settings_of("dcgan1", words.get("config"), words.get("profile", "full"), words.get("overrides", ()))
    if unknown := set(classes) - KINDS.keys():
        raise UserError(f"unknown kind of classes {min(unknown)!r}; {nearest(min(unknown), KINDS)}")
    work, dry_run = begun(Study, "aggrgan", settings, words), words.get("dry_run", False)
    if work:
        chosen = _chosen(work, classes)
        if settings.classification.split == "slice" and not work.quiet:
            click.echo(f"warning: {classification.SPLITS['slice']}", err=True)
        _check(work, chosen)
        take(_images(work, chosen), dry_run, work.quiet)
        if not dry_run:
            _write_tables(work, chosen)  # Tables 1 to 4 stand whatever comes of the classification
        take(_classifications(work, chosen), dry_run, work.quiet)
    if work and not dry_run:
        _write_tables(work, chosen)
        work.show_tables()
    return folder_of("aggrgan", words)


def _chosen(work: Study, classes: Sequence[str]) -> dict[str, list[str]]:
    """The classes of each kind that is wanted, or that the data has."""
    prepared, own = work.prepared, work.settings.study
    categories.categories_of(prepared, own)  # none is an error
    there = {kind: found for kind, of in KINDS.items() if (found := of(prepared, own))}
    if lacking := set(classes) - there.keys():
        raise UserError(f"{prepared.folder} has no classes of {min(lacking)}; leave out --classes to take what it has")
    return {kind: found for kind, found in there.items() if not classes or kind in classes}


def _check(work: Study, chosen: dict[str, list[str]]) -> None:
    """What would stop a study after days of training is found out before."""
    for category, model in itertools.product(itertools.chain(*chosen.values()), MODELS):
        work.check(model, work.run(category, model), category=category)
    _ = work.vgg
    size, own = work.settings.data.size, work.settings.classification
    for network in own.networks:
        weights = getattr(own.weights, network, "random")
        # Random weights cannot be missing; images too small for the network can.
        cnns.load_cnn(network, weights, size, size, classes=2, seed=own.seed)
    keras.backend.clear_session()


def _images(work: Study, chosen: dict[str, list[str]]) -> list[Step]:
    """Up to Tables 1 to 4: what is to be done, whether it is, and how, in order."""
    steps: list[Step] = []
    for category in itertools.chain(*chosen.values()):
        for model in MODELS:
            target, folder = {"category": category}, work.run(category, model)
            done = partial(is_done, folder, model, work.options, work.prepared)
            steps.append((TASKS[model].title(target), done, partial(work.train, model, folder, **target)))
        steps.append((f"images of {category}", partial(_is_made, work, category), partial(_make, work, category)))
    return steps


def _classifications(work: Study, chosen: dict[str, list[str]]) -> list[Step]:
    """Table 5."""
    steps: list[Step] = []
    for kind, found in chosen.items():
        for network in work.settings.classification.networks if len(found) > 1 else ():
            title = f"classification of {kind} by {network}"
            args = (work, kind, found, network)
            steps.append((title, partial(_is_classified, *args), partial(_classify, *args)))
    return steps


# ---- images ---------------------------------------------------------------------------------------------------------


def _made_from(work: Study, category: str) -> dict[str, Any]:
    """What a class's images depend on."""
    generators = {model: generator_hash(work.run(category, model)) for model in MODELS}
    style = work.settings.style.model_dump(mode="json", exclude={"weights", "seed"}) | {"weights": work.vgg.weights}
    aggregation = work.settings.aggregation.model_dump(mode="json")
    return generators | {"aggregation": aggregation, "style": style, "data": work.prepared.hash}


def _is_made(work: Study, category: str) -> bool:
    there = work.note(category).is_file() and all((work.run(category, model) / GENERATOR).is_file() for model in MODELS)
    if not there or not all(work.images(category, name).is_file() for name in (REAL, *_METHODS)):
        return False
    note = _note(work, category)
    return note["made_from"] == _made_from(work, category) and note["measures"] == _measures(work)


def _measures(work: Study) -> dict[str, Any]:
    return work.settings.measures.model_dump(mode="json")


def _make(work: Study, category: str) -> None:
    """Every row's images of a class, their references and their measures.

    A row's images are kept as soon as they are styled: an interruption loses no more than one of them.
    """
    settings, made_from = work.settings, _made_from(work, category)
    generators = {model: generator_of(open_run(work.run(category, model))) for model in MODELS}
    references = making.references_of(work.prepared, settings, category, settings.aggregation.images)
    with numerics(exact(settings)):
        base = making.generate_base(generators, references, settings.aggregation.seed)
        plain = {NAMES[model]: own for model, own in base.images.items()}
        for metric, name in AGGRGAN.items():
            plain[name + UNSTYLED] = making.aggregated(base, BASE, metric, settings).images
        contents = {NAMES[model] + STYLED: plain[NAMES[model]] for model in BASE}
        contents |= {name: plain[name + UNSTYLED] for name in AGGRGAN.values()}
        losses = {}
        for name, content in contents.items():
            losses[name] = _style(work, category, name, content, references, made_from)
    for name, own in {REAL: references.images, **plain}.items():
        _save(work.images(category, name), images=own)
    scores = {
        name: making.measured(references.images, _read(work, category, name), settings.measures)
        for name in (*plain, *contents)
    }
    content = {
        "made_from": made_from,
        "measures": _measures(work),
        "weights": work.vgg.weights,
        "patients": references.groups,
        "references": references.names,
        "scores": {
            name: {measure: [float(values.mean()), float(values.std())] for measure, values in own.items()}
            for name, own in scores.items()
        },
        "losses": losses,  # eq. (16), means over images
    }
    write_text(work.note(category), json.dumps(content, indent=1))


def _style(
    work: Study, category: str, name: str, content: np.ndarray, references: ImageSet, made_from: dict[str, Any]
) -> list[float]:
    """Style a row's images, unless they are there from before; the loss in each iteration, a mean over images."""
    path, origin = work.images(category, name), json.dumps(made_from, sort_keys=True)
    if path.is_file():
        with np.load(path) as file:
            if str(file["made_from"]) == origin:
                return file["losses"].tolist()
    with bar_of(len(references), work.settings, work.quiet) as progress:
        found = making.styled(content, references, work.vgg, work.settings.style, progress)
    losses = found.losses.mean(axis=1)
    _save(path, images=found.images, losses=losses, made_from=origin)
    return losses.tolist()


def _save(path: Path, **arrays: Any) -> None:
    with written_aside(path) as aside, aside.open("wb") as file:
        np.savez(file, **arrays)


def _read(work: Study, category: str, method: str) -> np.ndarray:
    with np.load(work.images(category, method)) as file:
        return file["images"]


def _note(work: Study, category: str) -> dict[str, Any]:
    return read_note(work.note(category))


# ---- classification -------------------------------------------------------------------------------------------------


def _classified_from(work: Study, found: Sequence[str], network: str) -> dict[str, Any]:
    """What a network's results depend on."""
    own = work.settings.classification.model_dump(mode="json", exclude={"networks", "weights"})
    weights = getattr(work.settings.classification.weights, network, "")
    if Path(weights).is_file():
        weights = sha256_of(Path(weights))
    made = {category: _note(work, category)["made_from"] for category in found}
    return {"settings": own, "weights": weights, "images": made, "result": list(Result.__dataclass_fields__)}


def _is_classified(work: Study, kind: str, found: Sequence[str], network: str) -> bool:
    path = work.results(kind, network)
    if not path.is_file() or not all(_is_made(work, category) for category in found):
        return False
    return read_note(path)["made_from"] == _classified_from(work, found, network)


def _classify(work: Study, kind: str, found: Sequence[str], network: str) -> None:
    """The five cases, by one network."""
    own = work.settings.classification
    real = [_real(work, found, held_out) for held_out in (False, True)]
    share = work.settings.split
    cases = CaseSettings(
        own.split, share.test, share.validation / (share.train + share.validation), own.augmented, own.shift, own.zoom
    )
    generated, small = _generated(work, found), network == SMALL
    results = []
    with numerics(exact(work.settings)):
        for name in CASES:  # one at a time: each copies the images
            results.append(
                classification.train_and_test(
                    classification.cases(*real, generated, cases, own.seed, [name])[name],
                    network,
                    "random" if small else getattr(own.weights, network),
                    epochs=own.epochs,
                    batch_size=own.batch_size,
                    learning_rate=own.small_learning_rate if small else own.learning_rate,
                    seed=own.seed,
                    quiet=work.quiet,
                )
            )
            keras.backend.clear_session()
    content = {
        "made_from": _classified_from(work, found, network),
        "results": [asdict(each) for each in results],
    }
    write_text(work.results(kind, network), json.dumps(content, indent=1))


def _real(work: Study, found: Sequence[str], held_out: bool) -> Labelled:
    """The real images of all classes, of the patients learnt or held out."""
    images, labels, groups = [], [], ()
    for label, category in enumerate(found):
        visits = categories.visits_of(work.prepared, work.settings.study, category, held_out)
        own = of_visits(work.prepared, visits, categories.sequence_of(category, work.settings.study))
        images.append(own.images)
        labels.append(np.full(len(own), label))
        groups += own.groups
    return Labelled(np.concatenate(images), np.concatenate(labels), groups, tuple(found))


def _generated(work: Study, found: Sequence[str]) -> Labelled:
    """AGGrGAN's images of all classes, each of its reference's patient."""
    images, groups = [], ()
    for category in found:
        images.append(_read(work, category, CLASSIFIED))
        groups += tuple(_note(work, category)["patients"])
    labels = np.repeat(np.arange(len(found)), [len(own) for own in images])
    return Labelled(np.concatenate(images), labels, groups, tuple(found))


# ---- tables ---------------------------------------------------------------------------------------------------------


def _write_tables(work: Study, chosen: dict[str, list[str]]) -> None:
    settings, origin = work.settings, work.prepared.manifest.origin
    notes = [
        f"{settings.aggregation.images} images of each class. VGG-19 of style transfer: "
        f"{_note(work, next(iter(chosen.values()))[0])['weights']}, {settings.style.iterations} iterations (2000). "
        "AGGrGAN's rows are after style transfer (assumed); those before it are ours alone.",
        "PSNR in dB; SD: sharpness difference (eqs. 5 to 7), in dB. More is nearer to the real image, of the KL "
        "divergence less. Beside each published number ours: mean and, in brackets, standard deviation over images.",
    ]
    tables, results = [], {kind: _results(work, kind, found) for kind, found in chosen.items()}
    for kind, found in chosen.items():
        scores = {
            category: {
                method: {measure: Score(*pair) for measure, pair in own.items()}
                for method, own in _note(work, category)["scores"].items()
            }
            for category in found
        }
        tables += study.tables(kind, scores, notes)
        if results[kind]:
            split = f"Ours is {classification.SPLITS[settings.classification.split]}."
            table = classification.classification_table(results[kind], study.DATASETS[kind], [split])
            tables.append(replace(table, name=f"table5_{kind}"))
    lengths = ", ".join(
        f"{NAMES[model]} {getattr(settings, model).epochs} epochs ({650 if model == 'dcgan2' else 1000})"
        for model in MODELS
    )
    length = f"{lengths}; images of {settings.data.size}"
    work.write_tables("Mukherjee et al. 2022", length, tables)
    content = {
        "data": origin,
        "length": length,
        "scores": {category: _note(work, category)["scores"] for found in chosen.values() for category in found},
        "weights": {category: _note(work, category)["weights"] for found in chosen.values() for category in found},
        "classification": {
            kind: [asdict(each) | {"accuracy": each.accuracy, "interval": each.interval} for each in own]
            for kind, own in results.items()
        },
    }
    write_text(work.folder / "results.json", json.dumps(content, indent=1))
    for name, (kind, columns) in FIGURES.items():
        if kind in chosen:
            _draw(work, name, chosen[kind], columns, length)


def _results(work: Study, kind: str, found: Sequence[str]) -> list[Result]:
    """Of the networks that have been trained on the images as they are now."""
    return [
        Result(**{name: _tuples(value) for name, value in each.items()})
        for network in work.settings.classification.networks
        if _is_classified(work, kind, found, network)
        for each in read_note(work.results(kind, network))["results"]
    ]


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value


def _draw(work: Study, name: str, found: Sequence[str], columns: Sequence[str], length: str) -> None:
    """A class in each line, the first reference and what was made for it."""
    images = np.stack([[_read(work, category, column)[0] for column in columns] for category in found])
    classes = [DISPLAY.get(category, category) for category in found]
    title = (
        f"In each row a real image of a class, which the GANs have learnt, and what was made for it; {length}, in "
        f"brackets the paper's; data: {work.prepared.manifest.origin}"
    )
    image_sheet(work.folder / name, images, classes, columns, title)
