"""kerasgan evaluate: what simpler methods reach on the same data."""

from pathlib import Path

import click

from kerasgan.cli import options


@click.group()
def evaluate() -> None:
    """Baselines that a deep network has to beat.

    \b
    Example:
        kerasgan evaluate radiomics --data prepared/
    """


@evaluate.command(short_help="A forest on shape, intensity and texture of the tumour.")
@click.option("--data", type=click.Path(file_okay=False), help="A prepared folder; without it, simulated heads.")
@click.option("--folds", type=click.IntRange(min=2), default=5, show_default=True, help="Of the cross-validation.")
@click.option("--repeats", type=click.IntRange(min=1), default=10, show_default=True, help="Each with other folds.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True, help="Of folds and forests.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="A JSON file for the result.")
@options.configuration
@options.quiet
def radiomics(data, folds, repeats, seed, out, config, overrides, profile, quiet) -> None:
    """Cross-validate a forest on features of the tumour, by patient: AUC, accuracy, sensitivity, specificity.

    Takes all real images of the prepared folder, whatever its split. The settings `classifier.label`, `positive`,
    `negative` and `modalities` say what is told apart.

    \b
    Example:
        kerasgan evaluate radiomics --data prepared/ --out radiomics.json
        kerasgan evaluate radiomics --data prepared/ --set classifier.modalities=[flair]
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
