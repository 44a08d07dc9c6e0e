"""kerasgan reproduce: a paper's tables."""

from pathlib import Path

import click

from kerasgan.cli import options


@click.group(short_help="Regenerate the tables of a paper, ours beside theirs.")
def reproduce() -> None:
    """Train what a paper's tables need, and print them with ours beside the published.

    What is done is not done again, and what was interrupted goes on: repeat the command.

    \b
    Example:
        kerasgan reproduce pairwise --data prepared/ --runs 5
        kerasgan reproduce brainmr --profile smoke
        kerasgan reproduce aggrgan --profile smoke
        kerasgan reproduce featuregan --profile smoke
        kerasgan reproduce pggan --profile smoke
    """


def _study(paper: str, profiles: dict[str, str]):
    """The options of every study."""
    options_ = (
        options.data,
        click.option(
            "--out",
            type=click.Path(file_okay=False, path_type=Path),
            help=f"The study's folder; default runs/{paper}/study, or study-PROFILE.",
        ),
        options.config,
        options.overrides,
        click.option(
            "--profile",
            type=click.Choice(list(profiles)),
            default="full",
            show_default=True,
            help="; ".join(f"{name}: {what}" for name, what in profiles.items()) + ".",
        ),
        click.option("--keep-checkpoints", is_flag=True, help="Also of finished runs, hundreds of megabytes each."),
        click.option("--dry-run", is_flag=True, help="Check everything, say what is done and what would be."),
        options.quiet,
    )
    return options.compose(*options_)


def _run(name: str, **chosen) -> None:
    from kerasgan import experiment
    from kerasgan.gan.training import Stopped

    try:
        folder = getattr(experiment, name)(**chosen)
    except Stopped as stopped:
        options.end_by_signal(stopped.signal_number, f"{stopped}; the same command goes on")
    if not chosen["dry_run"]:
        click.echo(folder)


@reproduce.command(cls=options.Several, short_help="Tables 2 to 6 of Ge et al. 2020.")
@click.option(
    "--runs", type=click.IntRange(min=1), help="How many of the splits; default all, which are the paper's 5."
)
@click.option("--case", "cases", type=click.Choice(["a", "b"]), multiple=True, help="Default both, as --case a b.")
@click.option(
    "--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Classifiers per method and run."
)
@_study(
    "pairwise",
    {
        "full": "the paper's numbers, for weeks of a GPU",
        "medium": "hours on a processor",
        "smoke": "minutes on a processor",
    },
)
def pairwise(cases, **chosen) -> None:
    """Ge et al. 2020: six GANs per run, enlarged sets, classifiers, baselines; Tables 2 to 6 and Figure 7.

    \b
    Example:
        kerasgan reproduce pairwise --profile smoke
        kerasgan reproduce pairwise --data prepared/ --runs 5 --case a
    """
    _run("reproduce_pairwise", cases=cases or ("a", "b"), **chosen)


@reproduce.command(cls=options.Several, short_help="Table 1 of Han et al. 2018.")
@click.option(
    "--model", "models", type=click.Choice(["dcgan", "wgan"]), multiple=True, help="Default both: --model dcgan wgan."
)
@click.option(
    "--sequence",
    "sequences",
    multiple=True,
    help="t1, t1e, t2, flair by any of their names, or concat; default all, one after another.",
)
@_study("brainmr", {"full": "the paper's numbers, for days of a GPU", "smoke": "minutes on a processor"})
def brainmr(models, **chosen) -> None:
    """Han et al. 2018: the GANs of Table 1's twelve rows, beside real images, and raters' answers.

    \b
    Example:
        kerasgan reproduce brainmr --profile smoke
        kerasgan reproduce brainmr --data prepared/ --set study.held_out=true --model wgan
    """
    _run("reproduce_brainmr", models=models or ("dcgan", "wgan"), **chosen)


@reproduce.command(cls=options.Several, short_help="Tables 1 to 5 of Mukherjee et al. 2022.")
@click.option(
    "--classes",
    type=click.Choice(["tumours", "modalities"]),
    multiple=True,
    help="tumours: Tables 1, 3, 5; modalities: Tables 2, 4, 5; default those that the data has.",
)
@_study("aggrgan", {"full": "the paper's numbers, for weeks of a GPU", "smoke": "minutes on a processor"})
def aggrgan(**chosen) -> None:
    """Mukherjee et al. 2022: five GANs per class, aggregation, style transfer, CNNs; Tables 1 to 5, Figures 3 to 6.

    \b
    Example:
        kerasgan reproduce aggrgan --profile smoke
        kerasgan reproduce aggrgan --data prepared/ --set style.weights=vgg19_notop.h5
    """
    _run("reproduce_aggrgan", **chosen)


@reproduce.command(short_help="Tables 2 and 3 of Mehra et al. 2022.")
@_study("featuregan", {"full": "the paper's numbers, for days of a GPU", "smoke": "minutes on a processor"})
def featuregan(**chosen) -> None:
    """Mehra et al. 2022: U-Net, features, AC-GANs of three widths, the classifier with synthetic features added.

    \b
    Example:
        kerasgan reproduce featuregan --profile smoke
        kerasgan reproduce featuregan --data prepared/ --set unet.weights=u_net.npz
    """
    _run("reproduce_featuregan", **chosen)


@reproduce.command(short_help="Table 1 of Alam et al.")
@_study("pggan", {"full": "the paper's numbers, for a day of a GPU", "smoke": "minutes on a processor"})
def pggan(**chosen) -> None:
    """Alam et al.: PGGAN and DCGAN of two classes, judged by GAN-train beside real images.

    \b
    Example:
        kerasgan reproduce pggan --profile smoke
        kerasgan reproduce pggan --data prepared/ --set gan_train.backbone=vgg16:weights.h5
    """
    _run("reproduce_pggan", **chosen)
