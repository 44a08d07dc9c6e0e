"""Which settings a command runs with: the model's YAML, a profile, overrides."""

from collections.abc import Sequence
from pathlib import Path

from kerasgan.errors import UserError, nearest
from kerasgan.papers import MODELS, Card
from kerasgan.settings import Section, configs_folder, load


def card(model: str) -> Card:
    """The card of a model; an unknown name is a `UserError`."""
    if model not in MODELS:
        raise UserError(f"unknown model {model!r}; {nearest(model, MODELS)}")
    return MODELS[model]


def settings_of(
    model: str, config: str | Path | None = None, profile: str = "full", overrides: Sequence[str] = ()
) -> Section:
    """The validated settings of `model`: `config` (default: the shipped YAML), then the profile, then the overrides."""
    path = Path(config) if config else configs_folder() / f"{model}.yaml"
    return load(card(model).settings, path, profile, overrides)
