"""kerasgan train: one subcommand per model."""

import signal
from itertools import takewhile
from pathlib import Path

import click

from kerasgan.cli import options
from kerasgan.data.modalities import canonical
from kerasgan.errors import UserError
from kerasgan.papers import ENSEMBLES, card, settings_of


@click.group()
def train() -> None:
    """Train a model. Interrupted by Ctrl-C or SIGTERM it saves its state and goes on with --resume.

    \b
    Example:
        kerasgan train pairwise --pair t1 t1e --data prepared/
    """


class _PairCommand(click.Command):
    """Lets `--pair all` stand beside `--pair t1 t1e`: click's options take a fixed number of values."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        args = list(args)
        if "--pair" in args:
            at = args.index("--pair") + 1
            values = list(takewhile(lambda word: not word.startswith("-"), args[at:]))
            if values == ["all"]:
                args.insert(at, "all")
            elif len(values) != 2 or "all" in values:
                raise click.UsageError(f"--pair expects two modalities, as in --pair t1 t1e, or all; got {values}", ctx)
        return super().parse_args(ctx, args)


@train.command(cls=_PairCommand, short_help="Translate between two modalities (Ge et al. 2020).")
@click.option(
    "--pair",
    nargs=2,
    required=True,
    metavar="M N|all",
    help="Two modalities by any of their names (t1, t1e, t2, flair, t1ce, ...); all: the six pairs in turn.",
)
@options.training
def pairwise(pair, **given):
    """Pairwise GAN (Ge et al. 2020): translate between two modalities, both ways.

    \b
    Example:
        kerasgan train pairwise --pair t1 t1e --data prepared/ --set training.keep=best
        kerasgan train pairwise --pair all --data prepared/ --resume
    """
    pair = pair[:1] if pair[0] == "all" else pair
    for name in pair if pair != ("all",) else ():
        canonical(name)  # found out before TensorFlow is loaded, which takes seconds
    _train("pairwise", {"pair": pair}, **given)


@train.command(short_help="Classify IDH status from several modalities (Ge et al. 2020).")
@click.option(
    "--stage1",
    type=click.Path(exists=True, file_okay=False),
    help="An enlarged set, made by `kerasgan enlarge`; without it, the baseline learns from real slices alone.",
)
@click.option(
    "--stage2", type=click.Path(exists=True, file_okay=False), help="The prepared folder: another word for --data."
)
@options.training
def classifier(stage1, stage2, **given):
    """Four-stream classifier (Ge et al. 2020): IDH status per slice and, by their vote, per patient.

    First learns from synthetic patients (stage 1), then from the real training patients (stage 2); validation and test
    patients are real. `--set study.partition=2` takes the second of the splits.

    \b
    Example:
        kerasgan train classifier --stage1 enlarged/ --data prepared/
        kerasgan train classifier --data prepared/ --set classifier.vote=mean
    """
    if stage2 and given["data"] and Path(stage2).resolve() != Path(given["data"]).resolve():
        raise UserError(
            f"stage 2 learns from the training patients of --data, so that none is tested on; --stage2 {stage2} and "
            f"--data {given['data']} differ: give one of them"
        )
    _train("classifier", {"stage1": stage1}, **given | {"data": given["data"] or stage2})


def _from_noise(command):
    """The options of Han 2018's models."""
    for option in (
        click.option(
            "--size",
            type=click.IntRange(8),
            help="Pixels; default data.size, the paper's 128; not with --sequence all.",
        ),
        click.option(
            "--sequence",
            required=True,
            metavar="NAME|concat|all",
            help="t1, t1e, t2, flair by any of their names; concat: their union; all: each row of the paper's table.",
        ),
    ):
        command = option(command)
    return command


@train.command(short_help="Slices from noise (Han et al. 2018, after Radford et al. 2016).")
@_from_noise
@options.training
def dcgan(sequence, size, **given):
    """DCGAN (Han et al. 2018): whole-brain slices of one sequence from noise.

    \b
    Example:
        kerasgan train dcgan --sequence t1 --data prepared/
        kerasgan train dcgan --sequence all --data prepared/ --resume
    """
    _train_from_noise("dcgan", sequence, size, given)


@train.command(short_help="Slices from noise (Han et al. 2018, after Arjovsky et al. 2017).")
@_from_noise
@options.training
def wgan(sequence, size, **given):
    """WGAN with clipped weights (Han et al. 2018): whole-brain slices of one sequence from noise.

    \b
    Example:
        kerasgan train wgan --sequence concat --size 64 --data prepared/
        kerasgan train wgan --sequence all --data prepared/ --resume
    """
    _train_from_noise("wgan", sequence, size, given)


def _train_from_noise(model, sequence, size, given):
    if sequence.lower() not in ("concat", "all"):
        canonical(sequence)  # found out before TensorFlow is loaded, which takes seconds
    _train(model, {"sequence": sequence, "size": size}, **given)


_category = click.option(
    "--class",
    "category",
    required=True,
    metavar="NAME|all",
    help="glioma, meningioma, pituitary, or a modality (t1, t1e, t2, flair); all: each that the data has, in turn.",
)


def _of_a_class(name, title, about):
    """One of Mukherjee 2022's models, which are called alike."""

    def command(category, **given):
        _train(name, {"category": category}, **given)

    command.__doc__ = f"""{title} (Mukherjee et al. 2022): {about}

    \b
    Example:
        kerasgan train {name} --class glioma --data prepared/
        kerasgan train {name} --class all --data prepared/ --resume
    """
    train.command(name, short_help=f"{title}: slices of a class from noise (Mukherjee et al. 2022).")(
        _category(options.training(command))
    )


_of_a_class("dcgan1", "DCGAN-1", "slices of a tumour or modality from noise, by up-sampling and convolution.")
_of_a_class("dcgan2", "DCGAN-2", "slices of a tumour or modality from noise, by transposed convolution.")
_of_a_class("wgandiv", "WGAN-div", "slices of a tumour or modality from noise, with the Wasserstein divergence.")
_of_a_class("lsgan", "LSGAN", "DCGAN-1 with least-squares losses, which the paper compares with.")
_of_a_class("infogan", "InfoGAN", "DCGAN-1 whose critic tells the latent codes, which the paper compares with.")


@train.command(short_help="DCGAN-1, DCGAN-2 and WGAN-div of a class (Mukherjee et al. 2022).")
@_category
@click.option(
    "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Models trained at once, a process each."
)
@options.training
def aggrgan(category, jobs, **given):
    """AGGrGAN (Mukherjee et al. 2022): the three GANs whose images `kerasgan aggregate` blends, into one folder.

    \b
    Example:
        kerasgan train aggrgan --class glioma --data prepared/
        kerasgan train aggrgan --class all --data prepared/ --jobs 3
        kerasgan train aggrgan --class all --data prepared/ --jobs 3 --resume
    """
    _train("aggrgan", {"category": category, "jobs": jobs}, **given)


@train.command(short_help="Segment tumours, to take features of (Mehra et al. 2022).")
@options.training
def unet(**given):
    """U-Net (Mehra et al. 2022): learns to segment tumours; its blocks are the features of `kerasgan features`.

    The paper begins from published weights: --set unet.weights=FILE, .npz of TensorLayer 1.x or .keras.

    \b
    Example:
        kerasgan train unet --data prepared/ --set unet.weights=u_net.npz
        kerasgan train unet --profile smoke
    """
    _train("unet", {}, **given)


@train.command(short_help="Features of a class from noise (Mehra et al. 2022, after Odena et al. 2017).")
@click.option(
    "--width",
    metavar="N|all",
    help="Channels of the hidden layers, ngf = ndf; default sweep.width, the paper's best; all: each of sweep.widths.",
)
@options.training_on_features
def acgan(width, **given):
    """AC-GAN (Mehra et al. 2022): features of a U-Net, of a wanted class, from noise.

    \b
    Example:
        kerasgan train acgan --features features/ --width 512
        kerasgan train acgan --features features/ --width all --resume
    """
    _train("acgan", {"width": width}, **given)


@train.command("feature-classifier", short_help="Classify features, with synthetic ones added (Mehra et al. 2022).")
@click.option(
    "--synthetic",
    type=click.Path(exists=True, file_okay=False),
    help="Made by `kerasgan features generate`; without it, the baseline learns from real features alone.",
)
@click.option("--count", type=click.IntRange(0), help="How many synthetic features are added; default all.")
@options.training_on_features
def feature_classifier(synthetic, count, **given):
    """Feature classifier (Mehra et al. 2022): the grade from features, judged on real held-out ones.

    The baseline also reports the linear classifier on down-sampled features.

    \b
    Example:
        kerasgan train feature-classifier --features features/
        kerasgan train feature-classifier --features features/ --synthetic synthetic/ --count 1158
    """
    if synthetic and not (given["data"] or given["resume"]):
        raise UserError("--synthetic features were made from real ones: give these too, with --features")
    _train("feature-classifier", {"synthetic": synthetic, "count": count}, **given)


@train.command(short_help="Slices of two classes from noise, grown from 4x4 pixels (Alam et al.).")
@options.training
def pggan(**given):
    """PGGAN (Alam et al.): slices of a class from noise, by networks that grow from 4x4 pixels.

    \b
    Example:
        kerasgan train pggan --data prepared/
        kerasgan train pggan --profile smoke
    """
    _train("pggan", {}, **given)


def _train(
    model, target, *, data, config, overrides, profile, run_dir, resume, seed, precision, jit, strategy, dry_run, quiet
):
    """What the subcommands share: mistakes found early, and the ways in which training can end."""
    flags = list(overrides)
    for name in ENSEMBLES.get(model, (model,)):
        own = card(name).section
        flags = options.with_flags(own, flags, seed=seed, precision=precision, jit=jit, strategy=strategy)
    if not resume:
        settings_of(model, config, profile or "full", flags)  # before TensorFlow is loaded
    more = {"data": data, "config": config, "overrides": flags, "profile": profile, "run_dir": run_dir}
    try:
        folder = _stoppable(model, resume=resume, dry_run=dry_run, quiet=quiet, **more, **target)
    except KeyboardInterrupt:
        state = "the run is as it was, the same command goes on" if resume else "nothing was trained yet"
        options.end_by_signal(signal.SIGINT, f"interrupted before the first step: {state}")
    if not dry_run:
        click.echo(folder)


def _stoppable(model, **given) -> Path:
    from kerasgan import experiment
    from kerasgan.gan.training import Stopped

    try:
        return experiment.train(model, **given)
    except Stopped as stopped:
        again = f"the same command{' with --resume' if stopped.resumable else ''} goes on"
        where = f"; the run is in {stopped.folder}" if stopped.folder else ""
        options.end_by_signal(stopped.signal_number, f"{stopped}; {again}{where}")
