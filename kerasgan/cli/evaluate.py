"""kerasgan evaluate: what simpler methods reach on the same data, and how synthetic images compare with real ones."""

from collections.abc import Sequence
from pathlib import Path

import click

from kerasgan.cli import options
from kerasgan.errors import UserError

POSITIVE = click.IntRange(min=1)
BACKBONE = (
    "inception or vgg16 (Keras's ImageNet weights), inception:FILE or vgg16:FILE (local weights), vgg16:random (for "
    "trials), FILE.keras (an encoder of one's own, see `kerasgan evaluate encoder`), pixels, or pixels:SIZE."
)
_sequence = click.option("--sequence", help="Of a prepared folder: t1, t1e, t2, flair, or concat for all; default all.")
_partition = click.option("--partition", type=POSITIVE, default=1, show_default=True, help="Of a prepared folder.")
_size = click.option("--size", type=POSITIVE, help="Shrink larger images to so many pixels.")
_seed = click.option("--seed", type=options.SEED, default=1, show_default=True, help="Of all that is drawn.")
_out = click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="A JSON file for the result.")


def _images(subset: str) -> options.Decorator:
    """Which real images are taken, by default of a prepared folder's `subset`."""
    return options.compose(
        click.option("--real", required=True, type=options.IMAGES, help="A prepared folder, or one of images."),
        _sequence,
        click.option(
            "--subset",
            type=click.Choice(["train", "validation", "test", "all"]),
            default=subset,
            show_default=True,
            help="Of a prepared folder.",
        ),
        click.option("--where", metavar="LABEL=VALUE", help="Of a prepared folder: the patients with such a label."),
        _partition,
        _size,
        _seed,
        options.quiet,
    )


def _synthetic(count: str) -> options.Decorator:
    return options.compose(
        click.option("--synthetic", required=True, type=options.IMAGES, help="A folder of images, or a finished run."),
        click.option("--count", type=POSITIVE, help=count),
        _out,
    )


_both = options.compose(_images("all"), _synthetic("Images of each set; default all there are, needed for a run."))


def _backbone(default: str) -> options.Decorator:
    return click.option("--backbone", default=default, show_default=True, help=BACKBONE)


@click.group(short_help="Compare synthetic with real images; baselines.")
def evaluate() -> None:
    """Baselines that a deep network has to beat, and comparisons of synthetic with real images.

    \b
    Example:
        kerasgan evaluate radiomics --data prepared/
        kerasgan evaluate c2st --real prepared/ --sequence t1e --synthetic runs/dcgan/t1e --count 500
    """


@evaluate.command(short_help="A forest on shape, intensity and texture of the tumour.")
@options.data
@click.option("--folds", type=click.IntRange(min=2), default=5, show_default=True, help="Of the cross-validation.")
@click.option("--repeats", type=click.IntRange(min=1), default=10, show_default=True, help="Each with other folds.")
@_seed
@_out
@options.configuration
@options.quiet
def radiomics(data, folds, repeats, seed, out, config, overrides, profile, quiet) -> None:
    """Cross-validate a forest on features of the tumour, by patient: AUC, accuracy, sensitivity, specificity.

    Takes all real images of the prepared folder, whatever its split. The settings `classifier.label`, `positive`,
    `negative` and `modalities` say what is told apart.

    \b
    Example:
        kerasgan evaluate radiomics --data prepared/ --out radiomics.json
        kerasgan evaluate radiomics --data prepared/ --set 'classifier.modalities=[flair]'
    """
    from kerasgan import experiment

    result = experiment.evaluate_radiomics(
        data=data,
        config=config,
        profile=profile or "full",
        overrides=overrides,
        folds=folds,
        repeats=repeats,
        seed=seed,
        out=out,
        quiet=quiet,
    )
    click.echo(result.markdown())


def _compare(kind: str, **chosen: object) -> None:
    from kerasgan import experiment

    click.echo(experiment.evaluate_images(kind, **chosen).markdown())


@evaluate.command(short_help="Fréchet distance of features (FID).")
@_both
@_backbone("inception")
def fid(**chosen) -> None:
    """The Fréchet distance of real and synthetic features, as FID (Heusel et al. 2017): lower is nearer.

    Numbers compare among the same backbone and number of images, and not with those in papers, which come from other
    weights of Inception.

    \b
    Example:
        kerasgan evaluate fid --real prepared/ --sequence t1e --synthetic runs/dcgan/t1e --count 500
        kerasgan evaluate fid --real prepared/ --synthetic images/ --backbone encoder.keras --out fid.json
    """
    _compare("fid", **chosen)


@evaluate.command(short_help="Kernel distance of features (KID).")
@_both
@_backbone("inception")
@click.option("--subsets", type=POSITIVE, default=100, show_default=True, help="How many random subsets.")
@click.option(
    "--subset-size",
    type=click.IntRange(min=2),
    help="Images of each; default 1000, or half of the smaller set if that is less.",
)
def kid(**chosen) -> None:
    """The kernel distance of real and synthetic features, as KID (Binkowski et al. 2018): unbiased also for few images.

    \b
    Example:
        kerasgan evaluate kid --real prepared/ --sequence t1e --synthetic images/ --backbone encoder.keras
    """
    _compare("kid", **chosen)


@evaluate.command("is", short_help="Inception score (IS).")
@_both
@click.option(
    "--backbone",
    default="inception",
    show_default=True,
    help="inception (Keras's ImageNet weights), inception:FILE (local weights), or inception:random (for trials).",
)
@click.option("--splits", type=POSITIVE, default=10, show_default=True, help="Parts, of whose scores it is the mean.")
def inception_score(**chosen) -> None:
    """The inception score (Salimans et al. 2016) of synthetic images, and of real ones beside it.

    It is of the ImageNet classes of Keras's Inception, which are no MR images, so it tells little of them; it is here
    since papers print it. The file of weights is that with the top: inception_v3_weights_tf_dim_ordering_tf_kernels.h5.

    \b
    Example:
        kerasgan evaluate is --real prepared/ --sequence t1e --synthetic runs/dcgan/t1e --count 500
    """
    _compare("is", **chosen)


@evaluate.command(short_help="Precision, recall, density, coverage.")
@_both
@_backbone("inception")
@click.option("--k", type=POSITIVE, default=5, show_default=True, help="Which nearest neighbour is the radius.")
def prdc(**chosen) -> None:
    """Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020) of features.

    \b
    Example:
        kerasgan evaluate prdc --real prepared/ --sequence t1e --synthetic images/ --backbone encoder.keras --k 3
    """
    _compare("prdc", **chosen)


@evaluate.command(short_help="Sliced Wasserstein distance of patches (SWD).")
@_both
def swd(**chosen) -> None:
    """Sliced Wasserstein distance of patches per level of a pyramid (Karras et al. 2018): lower is nearer.

    Takes square images of a power of two of pixels from 16 on, and of the larger set as many as the smaller has.

    \b
    Example:
        kerasgan evaluate swd --real prepared/ --sequence t1e --synthetic runs/dcgan/t1e --count 500 --out swd.json
    """
    _compare("swd", **chosen)


@evaluate.command(short_help="Similarity of random pairs within each set.")
@_both
@click.option("--pairs", type=POSITIVE, default=1000, show_default=True, help="Random pairs of each set.")
def ssim_diversity(**chosen) -> None:
    """Mean SSIM and MS-SSIM of random pairs of synthetic images beside those of real ones of different patients.

    \b
    Example:
        kerasgan evaluate ssim-diversity --real prepared/ --sequence t1e --synthetic images/
    """
    _compare("ssim-diversity", **chosen)


@evaluate.command(short_help="Can a classifier tell synthetic from real images?")
@_both
@_backbone("pixels")
@click.option("--repeats", type=POSITIVE, default=5, show_default=True, help="Splits, each with the next seed.")
@click.option("--epochs", type=POSITIVE, default=20, show_default=True, help="Of the CNN.")
def c2st(**chosen) -> None:
    """Classifier two-sample test (Lopez-Paz and Oquab 2017): held-out accuracy of a small CNN and 1-NN; 0.5 is chance.

    No patient is in training and test; of a folder of pictures, no picture. Beside it stands the same test of two
    halves of the real images, by patient.
    --backbone is the feature space of 1-NN.

    \b
    Example:
        kerasgan evaluate c2st --real prepared/ --sequence t1e --synthetic runs/dcgan/t1e --count 500
    """
    _compare("c2st", **chosen)


@evaluate.command(short_help="Are synthetic images copies of training images?")
@_images("train")
@_synthetic("Synthetic images; default all there are, needed for a run.")
@_backbone("pixels")
@click.option(
    "--held-out", type=options.IMAGES, help="Real images of other patients; default the test subset of --real."
)
@click.option("--pairs", type=POSITIVE, default=8, show_default=True, help="How many of the worst the picture shows.")
def memorisation(**chosen) -> None:
    """The nearest training image of each synthetic one, against the distances of held-out real images to them.

    --real has the images that the run was trained on, which must have left out the held-out patients: train it with
    --set study.held_out=true. Writes, beside the JSON file of --out, the worst pairs as .png.

    \b
    Example:
        kerasgan evaluate memorisation --real prepared/ --sequence t1e --synthetic images/ --out memorisation.json
    """
    from kerasgan import experiment

    click.echo(experiment.evaluate_memorisation(**chosen).markdown())


def _classes(name: str, required: bool, help: str) -> options.Decorator:
    """An option with a source for each of two classes."""
    return click.option(
        name,
        multiple=True,
        required=required,
        metavar="CLASS=SOURCE",
        callback=_by_class,
        help=f"Of two classes: {help}",
    )


def _by_class(context: click.Context, option: click.Option, given: Sequence[str]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for words in given:
        name, equals, source = words.partition("=")
        if not (name and equals and source) or name in found:
            raise UserError(
                f"{option.opts[0]} {words} is no source of a class of its own; expected CLASS=SOURCE for each of two "
                "classes, such as abnormal=images/"
            )
        found[name] = source
    return found or None


@evaluate.command(
    cls=options.Several, short_help="A classifier that learns from synthetic images, tested on real ones."
)
@_classes("--synthetic", True, "finished runs, folders of images, or prepared folders.")
@_classes("--real", True, "test images: prepared folders, whose test subset is taken, or folders of images.")
@_classes(
    "--training",
    False,
    "real training images: prepared folders, whose train subset is taken, or folders of images; default the prepared "
    "folders of --real.",
)
@click.option("--positive", required=True, metavar="CLASS", help="The class that sensitivity is about.")
@click.option("--label", metavar="COLUMN", help="Of prepared folders: the patients of a class have its name there.")
@_sequence
@_partition
@_size
@click.option("--count", type=POSITIVE, help="Synthetic images of each class; default all there are, needed for a run.")
@click.option(
    "--repeats", type=POSITIVE, default=1, show_default=True, help="Of runs: generate, each with the next seed."
)
@_backbone("vgg16")
@click.option(
    "--c", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True, help="C of the linear SVM."
)
@click.option("--bootstrap", type=POSITIVE, default=2000, show_default=True, help="Samples of the intervals.")
@click.option(
    "--confidence",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="Of the intervals.",
)
@_seed
@_out
@options.quiet
def gan_train(**chosen) -> None:
    """GAN-train and GAN-test (Shmelkov et al. 2018): train on synthetic, test on real images, and the reverse.

    An SVM on features tells two classes apart: sensitivity, specificity, their harmonic mean, accuracy, and AUC, beside
    those of an SVM that has learnt from real images. No patient is on both sides, and the GAN must have left out the
    test patients.

    \b
    Example:
        kerasgan evaluate gan-train --synthetic HGG=h/ LGG=l/ --real HGG=data/ LGG=data/ --label grade --positive HGG
        kerasgan evaluate gan-train --synthetic a=runs/a b=runs/b --count 500 --real a=test/a b=test/b --positive a
    """
    from kerasgan import experiment

    click.echo(experiment.evaluate_gan_train(**chosen).markdown())


@evaluate.command(short_help="Train a backbone on one's own real images.")
@_images("train")
@click.option("--count", type=POSITIVE, help="Images to learn from; default all there are.")
@click.option("--features", type=POSITIVE, default=64, show_default=True, help="Of each image.")
@click.option("--epochs", type=POSITIVE, default=50, show_default=True, help="Of the training.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Ends in .keras.")
def encoder(**chosen) -> None:
    """Train a convolutional autoencoder on real images; its encoder is a backbone that needs no download.

    What it was trained on stands beside it as .json.

    \b
    Example:
        kerasgan evaluate encoder --real prepared/ --sequence t1e --out encoder.keras
    """
    from kerasgan import experiment

    click.echo(experiment.train_image_encoder(**chosen).markdown())
