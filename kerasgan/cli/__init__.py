"""The command line. Commands are thin: TensorFlow is imported inside those that need it."""

import sys

import click

from kerasgan import __version__
from kerasgan.cli.aggregate import aggregate
from kerasgan.cli.convert import convert
from kerasgan.cli.data import data
from kerasgan.cli.enlarge import enlarge
from kerasgan.cli.evaluate import evaluate
from kerasgan.cli.export import export
from kerasgan.cli.features import features
from kerasgan.cli.generate import generate
from kerasgan.cli.models import models
from kerasgan.cli.phantom import phantom
from kerasgan.cli.reproduce import reproduce
from kerasgan.cli.train import train
from kerasgan.cli.translate import translate
from kerasgan.cli.turing import turing
from kerasgan.errors import UserError


class _Group(click.Group):
    """Turns what a user can mend into one sentence and exit code 2."""

    def invoke(self, ctx: click.Context):
        try:
            return super().invoke(ctx)
        except UserError as error:
            raise _Sentence(str(error)) from None
        except BrokenPipeError:  # `kerasgan models | head`: click ends quietly
            raise
        except OSError as error:  # a full disk, a folder that may not be written
            where = f"{error.filename}: " if error.filename else ""
            raise _Sentence(f"{where}{error.strerror or error}") from None
        except KeyboardInterrupt:
            interrupted = _Sentence("interrupted; no file was left half written")
            interrupted.exit_code = 130  # by convention 128 + SIGINT
            raise interrupted from None


class _Sentence(click.ClickException):
    exit_code = 2


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="kerasgan")
def cli() -> None:
    """GAN-made brain MR images, from published papers.

    \b
    A first look, on simulated heads:
        kerasgan train pairwise --pair t1 t1e --profile smoke
    With your own data:
        kerasgan data index FOLDER --out cohort.csv
        kerasgan data prepare cohort.csv --out prepared/
        kerasgan train pairwise --pair t1 t1e --data prepared/
    """


for command in (
    phantom,
    data,
    train,
    translate,
    enlarge,
    generate,
    features,
    aggregate,
    reproduce,
    evaluate,
    turing,
    export,
    convert,
    models,
):
    cli.add_command(command)


def main() -> None:
    """Entry point of the console script."""
    sys.exit(cli())
