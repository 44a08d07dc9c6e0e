from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from kerasgan.errors import UserError
from kerasgan.papers import MODELS
from kerasgan.settings import Section, configs_folder, differences, dotted_keys, dump, load, validate


class Training(Section):
    epochs: Annotated[int, Field(ge=1)]
    rate: float


class Example(Section):
    training: Training
    name: str


TEXT = "training: {epochs: 10, rate: 2e-4}\nname: a\nprofiles:\n  smoke:\n    training: {epochs: 2}\n"


def write(tmp_path: Path, text: str = TEXT) -> Path:
    path = tmp_path / "example.yaml"
    path.write_text(text)
    return path


def test_profile_then_overrides(tmp_path):
    path = write(tmp_path)
    assert load(Example, path).training == Training(epochs=10, rate=0.0002)
    assert load(Example, path, "smoke").training.epochs == 2
    assert load(Example, path, "smoke", ["training.epochs=3", "name=b"]).model_dump() == {
        "training": {"epochs": 3, "rate": 0.0002},
        "name": "b",
    }


@pytest.mark.parametrize("number", ["2e-4", "2.0e-4", "0.0002", "2E-4", ".2e-3"])
def test_every_spelling_of_a_number_is_a_number(tmp_path, number):
    assert load(Example, write(tmp_path), overrides=[f"training.rate={number}"]).training.rate == 0.0002


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epoch=3", r"unknown key 'training\.epoch'; did you mean 'training\.epochs'"),
        ("training.epochs=many", r"training\.epochs: .*integer, got 'many' \(str\)"),
        ("training.epochs='3'", r"training\.epochs: .*got '3' \(str\)"),
        ("training.epochs=0", r"training\.epochs: .*greater than or equal to 1, got 0"),
        ("training.epochs=2.5", r"training\.epochs: .*integer"),
        ("training.epochs", "expects key.path=value, got 'training.epochs'"),
        ("training.epochs=[", "not readable as YAML"),
    ],
)
def test_a_wrong_override_is_named(tmp_path, override, message):
    with pytest.raises(UserError, match=message):
        load(Example, write(tmp_path), overrides=[override])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training: {epoch: 1, rate: 1.0}\nname: a", r"(?s)example\.yaml.*training\.epoch"),
        ("training: {rate: 1.0}\nname: a", r"the key 'training\.epochs' is missing"),
        ("training: {epochs: 1, epochs: 2, rate: 1.0}\nname: a", "'epochs' stands twice"),
        ("- a list", "expected a mapping of sections, got list"),
        ("a: [", "not readable as YAML"),
        ("!!python/object/apply:os.system ['true']", "not readable as YAML"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        load(Example, write(tmp_path, text))


def test_an_unknown_profile_and_a_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"no profile 'smok'; did you mean 'smoke'"):
        load(Example, write(tmp_path), "smok")
    with pytest.raises(UserError, match="no such file"):
        load(Example, tmp_path / "other.yaml")


def test_dump_is_read_back_and_differences_are_named(tmp_path):
    settings = load(Example, write(tmp_path))
    assert load(Example, write(tmp_path, dump(settings))) == settings
    other = load(Example, write(tmp_path), overrides=["training.epochs=11", "name=b"])
    assert differences(settings, other) == ["training.epochs: 10, not 11", "name: a, not b"]
    assert differences(settings, other, ignore=["training.epochs"]) == ["name: a, not b"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("profile", ["full", "smoke"])
def test_shipped_configurations_are_valid_and_survive_a_round_trip(model, profile):
    schema = MODELS[model].settings
    settings = load(schema, configs_folder() / f"{MODELS[model].config}.yaml", profile)
    assert validate(schema, settings.model_dump(mode="json"), model) == settings


@pytest.mark.parametrize("model", MODELS)
def test_every_line_of_a_ledger_says_where_its_number_comes_from(model):
    """Each number of the full profile is stated with a section, assumed with a reason, ours, or explained."""
    card = MODELS[model]
    text = (configs_folder() / f"{card.config}.yaml").read_text().split("\nprofiles:")[0]
    known = {part for key in dotted_keys(card.settings) for part in key.split(".")}
    for section in {*card.decided_by, "autoencoder"} & set(card.settings.model_fields):
        lines = text.split(f"\n{section}:")[1].split("\n\n")[0].splitlines()[1:]
        assert lines
        for line in lines:
            name, _, value = line.partition(":")
            assert name.strip() in known
            assert "#" in line or not value, f"no source: {line}"
