"""kerasgan models: what can be trained."""

import click

from kerasgan.papers import MODELS


@click.command()
def models() -> None:
    """List the models: paper, sections, where to read them, command.

    \b
    Example:
        kerasgan models
    """
    for name, card in MODELS.items():
        doi = f"doi {card.doi}" if card.doi.startswith("10.") else card.doi
        click.echo(f"{name}\n  paper    {card.paper}\n           {doi}; read: {card.sections}")
        click.echo(f"  code     {card.module}\n  numbers  configs/{card.config}.yaml\n  command  {card.command}")
