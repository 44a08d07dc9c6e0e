"""`turing`: the Visual Turing Test of Han 2018, 3.3, with one's own raters, and its table beside the published one."""

import webbrowser
from pathlib import Path
from typing import Any

import click

from kerasgan.data.imagesets import ImageSet, joined, sequences_of
from kerasgan.data.prepare import open_prepared
from kerasgan.errors import UserError
from kerasgan.evaluation.turing.server import serve
from kerasgan.evaluation.turing.summary import HEADER, NOTES, Published, summarise
from kerasgan.evaluation.turing.trial import Trial, balanced, create_trial, open_trial
from kerasgan.experiment.generation import generator_hash, learnt_by
from kerasgan.experiment.images import image_set
from kerasgan.papers import settings_of
from kerasgan.papers.brainmr.published import TABLE_1
from kerasgan.papers.brainmr.study import name_of
from kerasgan.report.tables import Table

PUBLISHED: Published = [(f"Han 2018, {name_of(*row)}", *numbers) for row, numbers in TABLE_1.items()]
PORT = 8765


def turing(
    out: str | Path,
    *,
    real: str | Path | None = None,
    synthetic: str | Path | None = None,
    sequence: str | None = None,
    subset: str | None = None,
    where: str | None = None,
    size: int | None = None,
    count: int | None = None,
    seed: int | None = None,
    port: int = PORT,
    open_browser: bool = False,
) -> None:
    """Serve a Visual Turing Test on this machine until interrupted.

    Args:
        out: the results folder. One that holds this very test is gone on with; `out` without `real` and `synthetic`
            goes on with whatever test it holds.
        real: a prepared folder, or one of images.
        synthetic: a finished noise-to-image run, or a folder of images.
        sequence, subset, where: of a prepared folder, see `experiment.images.image_set`; None: all.
        size: pixels to which larger images are shrunk.
        count: real images, and as many synthetic ones; None: the paper's 50.
        seed: of the choice and of a run's noise; None: that of the paper's YAML.
        port: of 127.0.0.1; 0: any that is free.
        open_browser: show the page in a browser of this machine.
    """
    folder = Path(out)
    chosen = {"sequence": sequence, "subset": subset, "where": where, "size": size, "count": count, "seed": seed}
    trial = trial_of(folder, real, synthetic, **chosen)

    def announce(address: str) -> None:
        pixels = "x".join(map(str, trial.pixels.shape[1:]))
        click.echo(f"{len(trial.items)} images of {pixels}, real: {trial.real}; synthetic: {trial.synthetic}")
        click.echo(f"The test is at {address} until Ctrl-C; answers in {folder}")
        if open_browser and not webbrowser.open(address):
            click.echo("No browser was found to open it; enter the address in one", err=True)

    serve(trial, port, announce)


def trial_of(
    folder: Path,
    real: str | Path | None,
    synthetic: str | Path | None,
    *,
    sequence: str | None = None,
    subset: str | None = None,
    where: str | None = None,
    size: int | None = None,
    count: int | None = None,
    seed: int | None = None,
) -> Trial:
    """The test that `turing` serves, made now or before."""
    if real is None and synthetic is None:
        given = {"sequence": sequence, "subset": subset, "where": where, "size": size, "count": count, "seed": seed}
        names = [name for name, value in given.items() if value is not None]
        if names:
            raise UserError(
                f"--{names[0]} is of a new test, and without --real and --synthetic that in {folder} is gone on with; "
                "give these two, or --out alone"
            )
        return open_trial(folder)
    if real is None or synthetic is None:
        lacking = "real" if real is None else "synthetic"
        raise UserError(f"--{lacking} is missing; expected --real and --synthetic, or neither to go on with a test")
    if (Path(synthetic) / "manifest.json").is_file():
        raise UserError(f"{synthetic} is a prepared folder, whose images are real; give --synthetic a run or images")
    _check_sequence(Path(real), Path(synthetic), sequence)
    own = settings_of("wgan").turing
    count, seed = own.images if count is None else count, own.seed if seed is None else seed
    made = {"count": count} if (Path(synthetic) / "run.json").is_file() else {}
    reals = _real(Path(real), sequence, subset or "all", where, size, count, seed)
    fakes = image_set(synthetic, size=size, seed=seed, **made)
    sources = made_from(Path(real), Path(synthetic), sequence, where, reals.images.shape[1])
    return create_trial(folder, reals, fakes, count, seed, sources)


def made_from(real: Path, synthetic: Path, sequence: str | None, where: str | None, size: int) -> dict[str, Any]:
    """What a test is made from, as trial.json has it; None for what a folder of pictures does not say.

    generator: its sha256, of a run; data: the hash of the prepared folder; sequences and where: of its real images;
    size: pixels of a row.
    """
    prepared = open_prepared(real) if (real / "manifest.json").is_file() else None
    return {
        "generator": generator_hash(synthetic) if (synthetic / "run.json").is_file() else None,
        "data": prepared.hash if prepared else None,
        "sequences": list(sequences_of(prepared, sequence)) if prepared else None,
        "where": where,
        "size": size,
    }


def _check_sequence(real: Path, synthetic: Path, sequence: str | None) -> None:
    """A `UserError` if the GAN has learnt other sequences than the real images are of, where both are known."""
    learnt = learnt_by(synthetic)
    if learnt is None or not (real / "manifest.json").is_file():
        return
    prepared = open_prepared(real)
    own, theirs = (sequences_of(prepared, name) for name in (sequence, learnt["sequence"]))
    if own != theirs:
        raise UserError(
            f"the real images are of {', '.join(own)}, the synthetic ones of {', '.join(theirs)}, which would tell "
            f"them apart; give --sequence {learnt['sequence']}"
        )


def _real(
    folder: Path, sequence: str | None, subset: str, where: str | None, size: int | None, count: int, seed: int
) -> ImageSet:
    """Of a prepared folder `count` images of each sequence, if there are so many: all of a cohort fill the memory."""
    if not (folder / "manifest.json").is_file():
        return image_set(folder, size=size, real=True)
    drawn = []
    for name in sequences_of(open_prepared(folder), sequence):
        own = image_set(folder, sequence=name, subset=subset, where=where, size=size, real=True)
        drawn.append(balanced(own, min(count, len(own)), seed))
    return joined(drawn)


def turing_report(results: str | Path) -> Table:
    """The table of a results folder's raters, with the published rows under them."""
    trial = open_trial(Path(results))
    found = summarise(trial)
    notes = [NOTES]
    if found.agreement:
        notes.append(found.agreement)
    if not found.finished:
        notes.append("Nobody has finished the test yet.")
    title = f"Visual Turing Test: {trial.real}, against {trial.synthetic}"
    return Table("turing", title, HEADER, found.rows(PUBLISHED), notes)
