"""`reproduce brainmr`: the study of Han et al. 2018.

STUDY/
    dcgan/t1-128/ ... wgan/concat-64/     a run per row of Table 1, with comparison.json and memorisation.png
    encoder-128.keras, encoder-64.keras   the feature spaces, trained on the real images that the GANs learn from
    turing/dcgan-t1-128/ ...              raters' answers, where `kerasgan turing` was given these folders
    tables.md  table1.csv  measured.csv  results.json  figure3.png  figure4.png
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from kerasgan.data.imagesets import CONCAT, read_images, sequences_of, visits_with
from kerasgan.data.modalities import DISPLAY, canonical
from kerasgan.data.pipeline import count_slices
from kerasgan.data.prepare import Prepared
from kerasgan.errors import UserError
from kerasgan.evaluation.encoder import EncoderSettings
from kerasgan.evaluation.turing.summary import summarise
from kerasgan.evaluation.turing.trial import open_trial
from kerasgan.experiment.comparison import evaluate_images
from kerasgan.experiment.generation import GENERATOR, generate, generator_hash
from kerasgan.experiment.memorisation import evaluate_memorisation
from kerasgan.experiment.studies import common
from kerasgan.experiment.studies.common import Step, Words, begun, encode, folder_of, is_encoded, read_note, take
from kerasgan.experiment.tasks import TASKS
from kerasgan.experiment.training import is_done
from kerasgan.experiment.turing import made_from
from kerasgan.files import remove, sha256_of, write_text
from kerasgan.papers import settings_of
from kerasgan.papers.brainmr import study
from kerasgan.papers.brainmr.settings import BrainmrSettings
from kerasgan.papers.brainmr.study import Row
from kerasgan.report.mosaics import image_sheet

SHOWN = 8  # images of a row in the figures
FIGURES = {"dcgan": "figure3.png", "wgan": "figure4.png"}


@dataclass(frozen=True)
class Study(common.Study):
    """Where the parts of the study are kept, and on whom it is."""

    settings: BrainmrSettings

    def own_size(self, size: int) -> int:
        """The paper's 128 or 64 pixels, of data of another size."""
        return size * self.settings.data.size // 128

    def run(self, row: tuple[str, str, int]) -> Path:
        model, sequence, size = row
        return self.folder / model / f"{sequence}-{self.own_size(size)}"

    def target(self, row: tuple[str, str, int]) -> dict[str, Any]:
        """What the row's run learns."""
        _, sequence, size = row
        return {"sequence": sequence, "size": self.own_size(size)}

    def trial(self, row: tuple[str, str, int]) -> Path:
        model, sequence, size = row
        return self.folder / "turing" / f"{model}-{sequence}-{self.own_size(size)}"

    def encoder(self, size: int) -> Path:
        return self.folder / f"encoder-{size}.keras"

    @property
    def where(self) -> str | None:
        own = self.settings.study
        return f"{own.label}={own.value}" if own.label else None

    @property
    def learnt(self) -> str:
        """The subset that the GANs learn from."""
        return "train" if self.settings.study.held_out else "all"

    @property
    def compared(self) -> str:
        """The subset that images are compared with."""
        return "test" if self.settings.study.held_out else "all"


def reproduce_brainmr(
    *, models: Sequence[str] = ("dcgan", "wgan"), sequences: Sequence[str] = (), **words: Unpack[Words]
) -> Path:
    """Train what is missing of the rows of Table 1, resume what was interrupted, compare, and write the tables.

    Args:
        models: dcgan, wgan or both.
        sequences: modalities by any of their names, or concat; none: all that the cohort has, and concat.
        words: see `common.Words`.

    Returns the folder of the study.
    """
    settings = settings_of("dcgan", words.get("config"), words.get("profile", "full"), words.get("overrides", ()))
    wanted = [name if name == CONCAT else canonical(name) for name in map(str.lower, sequences)]
    work = begun(Study, "brainmr", settings, words)
    if work:
        rows = [row for row in study.rows_of(sequences_of(work.prepared, None)) if row[0] in models]
        rows = [row for row in rows if not wanted or row[1] in wanted]
        if not rows:
            lacking = ", ".join(wanted)
            raise UserError(f"{work.prepared.folder} has none of {lacking}; leave out --sequence to take what it has")
        for row in rows:
            work.check(row[0], work.run(row), **work.target(row))
        take(_steps(work, rows), words.get("dry_run", False), work.quiet)
    if work and not words.get("dry_run"):
        _write_tables(work, rows)
        work.show_tables()
    return folder_of("brainmr", words)


def _steps(work: Study, rows: Sequence[tuple[str, str, int]]) -> list[Step]:
    """What is to be done, whether it is, and how, in order."""
    steps: list[Step] = []
    for size in dict.fromkeys(work.own_size(row[2]) for row in rows):
        encoder = _encoder(work, size)
        what = f"features of {size}x{size} images"
        steps.append((what, partial(is_encoded, *encoder), partial(encode, *encoder, work.quiet)))
    for row in rows:
        model, target = row[0], work.target(row)
        title = TASKS[model].title(target)
        steps.append(
            (
                title,
                partial(is_done, work.run(row), model, work.options, work.prepared),
                partial(work.train, model, work.run(row), **target),
            )
        )
        steps.append(
            (f"{title}: comparison with real images", partial(_is_compared, work, row), partial(_compare, work, row))
        )
    return steps


def _encoded(work: Study, size: int) -> dict[str, Any]:
    """The images that an encoder learns."""
    partition = work.settings.study.partition
    visits = [
        visits_with(work.prepared, name, work.learnt, partition, *_who(work))
        for name in sequences_of(work.prepared, None)
    ]
    count = min(common.ENCODER_IMAGES, sum(map(count_slices, visits)))
    return {
        "sequence": None,
        "subset": work.learnt,
        "where": work.where,
        "partition": partition,
        "size": size,
        "count": count,
    }


def _encoder(work: Study, size: int) -> tuple[Path, EncoderSettings, dict[str, Any], Prepared]:
    """The encoder of a size, as `common.is_encoded` and `common.encode` take it."""
    own = work.settings.comparison
    settings = EncoderSettings(epochs=own.encoder_epochs, seed=own.seed)
    return work.encoder(size), settings, _encoded(work, size), work.prepared


def _who(work: Study) -> tuple[str | None, str]:
    return work.settings.study.label, work.settings.study.value


# ---- comparison with real images ------------------------------------------------------------------------------------


def _made_from(work: Study, row: tuple[str, str, int]) -> dict[str, Any]:
    """What comparison.json depends on."""
    encoder = sha256_of(work.encoder(work.own_size(row[2])))
    hashes = {"generator": generator_hash(work.run(row)), "encoder": encoder}
    return hashes | {"settings": work.settings.comparison.model_dump(mode="json"), "data": work.prepared.hash}


def _is_compared(work: Study, row: tuple[str, str, int]) -> bool:
    path = work.run(row) / "comparison.json"
    if not (path.is_file() and (work.run(row) / GENERATOR).is_file()):
        return False
    return read_note(path)["made_from"] == _made_from(work, row)


def _compare(work: Study, row: tuple[str, str, int]) -> None:
    """Generated images beside as many real ones, into comparison.json."""
    _, sequence, size = row
    folder, own = work.run(row), work.settings.comparison
    partition = work.settings.study.partition
    names = sequences_of(work.prepared, sequence)
    visits = [visits_with(work.prepared, name, work.compared, partition, *_who(work)) for name in names]
    count = min(own.images, sum(map(count_slices, visits)))
    remove(folder / "images")
    generate(folder, folder / "images", count=count, seed=own.seed, kind="npz", quiet=True)
    common = {
        "real": work.prepared.folder,
        "synthetic": folder / "images",
        "sequence": sequence,
        "where": work.where,
        "partition": partition,
        "size": work.own_size(size),
        "seed": own.seed,
        "count": count,
        "quiet": True,
    }
    encoder = str(work.encoder(work.own_size(size)))
    found = {
        "c2st": evaluate_images(
            "c2st", subset=work.compared, backbone=encoder, repeats=own.seeds, epochs=own.c2st_epochs, **common
        ),
        "ssim-diversity": evaluate_images("ssim-diversity", subset=work.compared, **common),
    }
    for kind, more in (("kid", {}), ("fid", {}), ("prdc", {"k": own.neighbours})):
        found[kind] = evaluate_images(kind, subset=work.compared, backbone=encoder, **common, **more)
    if work.settings.study.held_out:
        out = folder / "memorisation.json"
        found["memorisation"] = evaluate_memorisation(backbone=encoder, out=out, **common)
    content = {
        "made_from": _made_from(work, row),
        "measures": _measures({kind: result.numbers for kind, result in found.items()}),
        "results": {kind: asdict(result) for kind, result in found.items()},
    }
    write_text(folder / "comparison.json", json.dumps(content, indent=1, allow_nan=False))


def _measures(numbers: dict[str, dict[str, dict[str, float]]]) -> dict[str, float]:
    """The numbers that the table shows."""
    tests, pairs = numbers["c2st"], numbers["ssim-diversity"]["SSIM"]
    shown = {
        "cnn": tests["CNN, real and synthetic"]["accuracy"],
        "cnn_halves": tests["CNN, two halves of real"]["accuracy"],
        "nearest": tests["1-NN, real and synthetic"]["accuracy"],
        "kid": numbers["kid"]["KID"]["mean"],
        "fid": numbers["fid"]["FID"]["value"],
        "precision": numbers["prdc"]["precision"]["value"],
        "recall": numbers["prdc"]["recall"]["value"],
        "ssim": pairs["synthetic"],
        "ssim_real": pairs["real"],
    }
    if "memorisation" in numbers:
        shown["near"] = numbers["memorisation"]["synthetic"]["share below percentile 5"]
    return shown


# ---- tables ---------------------------------------------------------------------------------------------------------


def _write_tables(work: Study, rows: Sequence[tuple[str, str, int]]) -> None:
    found = [_row(work, row) for row in rows]
    settings, origin = work.settings, work.prepared.manifest.origin
    held_out = settings.study.held_out
    notes = [
        study.CHANCE + " 'Halves of real': the same CNN on two halves of the real images, by patient.",
        "KID, FID, 1-NN, precision and recall in the features of an autoencoder of ours: compare rows of one size, "
        f"not with papers. {settings.comparison.images} images of each kind at most; real ones of "
        + ("test patients, whom neither GAN nor encoder has seen." if held_out else "the patients that were learnt."),
    ]
    if not held_out:
        notes.append("No memorisation report: all patients were learnt, as in the paper; --set study.held_out=true.")
    tables = [study.rater_table(found, _invitation(work, found)), study.measured_table(found, notes)]
    steps = ", ".join(
        f"{study.MODELS[name]} {own.epochs * own.steps_per_epoch} steps"
        for name, own in (("dcgan", settings.dcgan), ("wgan", settings.wgan))
        if name in {row.model for row in found}
    )
    learnt = "training patients" if held_out else "all patients"
    length = f"{steps}, of {learnt}{f' with {work.where}' if work.where else ''}, images of {settings.data.size} (128)"
    work.write_tables("Han et al. 2018", length, tables)
    content = {"data": origin, "length": length, "rows": [asdict(row) for row in found]}
    write_text(work.folder / "results.json", json.dumps(content, indent=1))
    for model in {row.model: None for row in found}:
        _draw(work, model, [row for row in rows if row[0] == model])


def _row(work: Study, row: tuple[str, str, int]) -> Row:
    folder = work.run(row)
    measures = read_note(folder / "comparison.json")["measures"]
    own = work.own_size(row[2])
    return Row(*row, own, str(folder.relative_to(work.folder)), measures, _ratings(work, row))


def _ratings(work: Study, row: tuple[str, str, int]) -> study.Ratings | None:
    """What raters said who have finished the test of this row."""
    folder = work.trial(row)
    if not folder.is_dir():
        return None
    trial = open_trial(folder)
    _, sequence, size = row
    if trial.made_from != made_from(work.prepared.folder, work.run(row), sequence, work.where, work.own_size(size)):
        raise UserError(
            f"{folder} holds a test of other images ({trial.real}, against {trial.synthetic}); expected those of "
            f"{work.run(row)} as it is now and the real ones that it has learnt: move it away"
        )
    found = summarise(trial)
    if found.pooled is None:
        return None
    return study.Ratings(len(found.finished), found.pooled.accuracy, tuple(found.pooled))


def _invitation(work: Study, rows: Sequence[Row]) -> list[str]:
    """How the first row without raters is put to the test."""
    for row in rows:
        if row.ratings is None:
            trial = work.trial((row.model, row.sequence, row.size))
            where = f" --where {work.where}" if work.where else ""
            command = (
                f"kerasgan turing --real {work.prepared.folder} --sequence {row.sequence}{where} --size {row.own_size} "
                f"--synthetic {work.folder / row.folder} --out {trial}"
            )
            return [
                "A row without raters: nobody has taken its test. A person takes it by such a command, and the study's "
                f"own, repeated, shows the answers: `{command}`"
            ]
    return []


def _draw(work: Study, model: str, rows: Sequence[tuple[str, str, int]]) -> None:
    """Figures 3 and 4: synthetic images, a row of the table in each line."""
    lines, own = {}, getattr(work.settings, model)
    for row in rows:
        _, sequence, size = row
        images = read_images(work.run(row) / "images").images[:SHOWN]
        repeat = work.settings.data.size // images.shape[1]
        name = f"{DISPLAY.get(sequence, sequence)}, {work.own_size(size)}x{work.own_size(size)}"
        lines[name] = images.repeat(repeat, axis=1).repeat(repeat, axis=2)
    title = (
        f"{study.MODELS[model]} after {own.epochs * own.steps_per_epoch} generator steps of {own.batch_size} images; "
        f"each row has images of its own GAN, of one sequence and size; data: {work.prepared.manifest.origin}"
    )
    image_sheet(work.folder / FIGURES[model], np.stack(list(lines.values())), list(lines), ["synthetic"], title)
