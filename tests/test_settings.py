from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field, model_validator

from kerasgan.errors import UserError
from kerasgan.papers import MODELS
from kerasgan.settings import Section, configs_folder, differences, dotted_keys, dump, load, validate


class Training(Section):
    epochs: Annotated[int, Field(ge=1)]
    rate: float

    @model_validator(mode="after")
    def _slow(self):
        if self.epochs > 50 and self.rate > 0.1:
            raise ValueError("rate must be at most 0.1 for more than 50 epochs")
        return self


class Example(Section):
    training: Training
    name: str

    @model_validator(mode="after")
    def _named(self):
        if self.name == str(self.training.epochs):
            raise ValueError("name must differ from training.epochs")
        return self


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
        (
            "trainig.epochs=3",
            r"unknown key 'trainig\.epochs'; did you mean 'training\.epochs'\? valid: training\.epochs$",
        ),
        ("epochs=3", r"unknown key 'epochs'; did you mean 'training\.epochs'\? valid: training\.epochs$"),
        ("training=3", r"unknown key 'training'; .*valid: training\.epochs, training\.rate$"),
        ("learning=3", r"unknown key 'learning'; .*valid: training, name$"),
        ("training.epochs=many", r": training\.epochs must be a valid integer, got 'many' \(str\)$"),
        ("training.epochs='3'", r": training\.epochs must be a valid integer, got '3' \(str\)$"),
        ("training.epochs=0", r": training\.epochs must be greater than or equal to 1, got 0 \(int\)$"),
        ("training.epochs=2.5", r": training\.epochs must be a valid integer, got 2\.5 \(float\)$"),
        ("training.epochs={few: 1}", r": training\.epochs must be a valid integer, got a mapping \(dict\)$"),
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


def test_a_mistake_of_a_whole_section_names_what_came_and_prints_no_mapping(tmp_path):
    with pytest.raises(UserError) as error:
        load(Example, write(tmp_path), overrides=["training.rate=0.5", "training.epochs=60"])
    places, _, mistake = str(error.value).partition(": ")
    assert places == f"{tmp_path / 'example.yaml'}, --set training.epochs=60, --set training.rate=0.5"
    assert mistake == (
        "training: rate must be at most 0.1 for more than 50 epochs; here training.epochs is 60, training.rate is 0.5"
    )
    with pytest.raises(
        UserError, match=r"yaml: name must differ from training\.epochs; here training\.epochs is 10, na"
    ):
        load(Example, write(tmp_path, TEXT.replace("name: a", "name: '10'")))


def test_only_the_set_and_the_profile_of_the_wrong_key_are_named(tmp_path):
    path = write(tmp_path, TEXT.replace("epochs: 2}", "epochs: -2}"))
    for overrides, places in (
        (["name=b", "training.rate=1.0"], f"{path}, profile smoke"),
        (["name=b", "training.epochs=0", "training.epochs=x"], f"{path}, --set training.epochs=x"),
        (["training.epochs=1", "name=3"], f"{path}, --set name=3"),
    ):
        with pytest.raises(UserError) as error:
            load(Example, path, "smoke", overrides)
        assert str(error.value).split(": ")[0] == places


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training: 5\nname: a", r"yaml: training must be a mapping of keys, got 5 \(int\)$"),
        ("training: {epochs: 1, rate: 1.0}\nname: {a: 1}", r"name must be a valid string, got a mapping \(dict\)$"),
        (f"training: {{epochs: 1, rate: {'x' * 500}}}\nname: a", r"got 'x{59}\.\.\. \(str\)$"),
    ],
)
def test_what_came_is_short(tmp_path, text, message):
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
