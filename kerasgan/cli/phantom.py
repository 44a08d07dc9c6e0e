"""kerasgan phantom: simulate a cohort."""

from pathlib import Path

import click

from kerasgan.cli import options
from kerasgan.data.modalities import canonical
from kerasgan.errors import UserError


@click.command(short_help="Simulate patients with brain tumours, or neonates.")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--patients", type=click.IntRange(min=1), default=20, show_default=True, help="Patients to simulate.")
@click.option("--seed", type=options.SEED, default=7, show_default=True, help="Same seed, same bytes.")
@click.option(
    "--grid",
    type=click.IntRange(32, 480),
    default=240,
    show_default=True,
    help="Voxels across the field of view of 240 mm (240 is 1 mm), of neonates 160 mm.",
)
@click.option(
    "--head",
    type=click.Choice(["adult", "neonate"]),
    default="adult",
    show_default=True,
    help="Adults with tumours, or neonates without: T1 and T2, abnormal and normal in equal numbers.",
)
@click.option(
    "--idh-fraction", type=click.FloatRange(0, 1), default=0.33, show_default=True, help="IDH mutant gliomas of adults."
)
@click.option(
    "--strength",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="How clearly the IDH status, or a neonate's class, shows; 0: not at all.",
)
@click.option(
    "--missing",
    multiple=True,
    metavar="MODALITY=FRACTION",
    help="Leave a modality out of some patients; may be repeated.",
)
@click.option(
    "--tumour",
    "tumours",
    multiple=True,
    metavar="NAME",
    default=("glioma",),
    show_default=True,
    help="glioma, meningioma or pituitary; may be repeated: dealt equally.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Threads; default one per core.")
@options.quiet
def phantom(out, patients, seed, grid, head, idh_fraction, strength, missing, tumours, workers, quiet) -> None:
    """Simulate patients with brain tumours (T1, T1e, T2, FLAIR, segmentation) or neonates as NIfTI, labels as CSV.

    \b
    Example:
        kerasgan phantom heads/ --patients 20 --seed 7 --grid 96 --missing t2=0.06
        kerasgan phantom heads/ --tumour glioma --tumour meningioma --tumour pituitary
        kerasgan phantom neonates/ --head neonate --grid 160
    """
    from kerasgan.phantom import simulate_cohort

    given = click.get_current_context().get_parameter_source
    if head == "neonate" and given("idh_fraction") is click.core.ParameterSource.COMMANDLINE:
        raise UserError("neonates have no tumour and so no IDH status; leave --idh-fraction out, or give --head adult")
    simulate_cohort(
        out,
        patients=patients,
        seed=seed,
        grid=grid,
        idh_fraction=idh_fraction,
        strength=strength,
        missing=dict(_fraction(text) for text in missing),
        tumours=tumours,
        head=head,
        workers=workers,
        quiet=quiet,
    )


def _fraction(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return canonical(name), float(value)
    except ValueError:
        raise UserError(f"--missing expects MODALITY=FRACTION such as t2=0.06, got {text!r}") from None
