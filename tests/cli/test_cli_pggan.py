"""train pggan, generate --class, export --stage, evaluate gan-train, reproduce pggan on the command line."""

import json

import pytest
from command_line import run, sentence
from conftest import PGGAN

SETTINGS = [word for override in PGGAN for word in ("--set", override)]


def test_a_dry_run_names_every_stage(patches_folder, tmp_path):
    said = run("train", "pggan", "--data", patches_folder, *SETTINGS, "--run-dir", tmp_path / "run", "--dry-run")
    assert "would train PGGAN into" in said
    assert "2 epochs of 2 steps and 2 epochs of 2 steps and 3 epochs of 2 steps" in said
    assert "T1 of training patients, 3 wildtype (48 images) and 3 mutant (48 images)" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("pggan.batch_size=6", "groups of 4"),
        ("network.class_from=12", "power of two"),
        ("pggan.flip_by=epoch", "flip_by"),
        ("pggan.epochs=3", "pggan.epochs"),
    ],
)
def test_bad_settings_are_one_sentence(patches_folder, tmp_path, override, message):
    words = ["train", "pggan", "--data", patches_folder, *SETTINGS, "--set", override, "--run-dir", tmp_path / "run"]
    assert message in sentence(*words)
    assert not (tmp_path / "run").exists()


def test_a_refused_start_does_not_block_the_next_one(patches_folder, tmp_path):
    """Two replicas share a batch of 12: 6 each, which is found out when the networks are built."""
    words = ["train", "pggan", "--data", patches_folder, *SETTINGS, "--set", "pggan.batch_size=12"]
    words += ["--strategy", "mirrored", "--run-dir", tmp_path / "run"]
    for _ in range(2):
        assert "groups of 4" in sentence(*words)
        assert not (tmp_path / "run").exists()


def test_classes_and_stages(pggan_run, tmp_path):
    made = tmp_path / "mutant"
    run("generate", pggan_run, "--class", "mutant", "--count", 2, "--out", made, "--quiet")
    assert json.loads((made / "images.json").read_text())["class"] == "mutant"
    assert "wildtype or mutant; name one of these classes" in sentence("generate", pggan_run, "--out", tmp_path / "x")
    words = ["export", pggan_run, "--to", tmp_path / "models", "--no-warmup"]
    assert run(*words, "--stage", 8).strip().endswith("pggan_t1_8/1")
    assert "has the stages 4, 8, 16, not 12" in sentence(*words, "--stage", 12)


def test_a_run_is_the_source_of_both_classes(pggan_run, patches_folder, tmp_path):
    words = ["evaluate", "gan-train", "--positive", "mutant", "--label", "idh", "--sequence", "t1", "--quiet"]
    words += ["--synthetic", f"mutant={pggan_run}", f"wildtype={pggan_run}"]
    words += ["--real", f"mutant={patches_folder}", f"wildtype={patches_folder}"]
    words += ["--backbone", "pixels:4", "--bootstrap", 50, "--out", tmp_path / "found.json"]
    said = run(*words, "--count", 8, "--repeats", 2)
    first, second = json.loads((tmp_path / "found.json").read_text())["gan_train"]["the GAN"]
    assert first["training"]["images"] == {"mutant": 8, "wildtype": 8}
    for number, trial in ((1, first), (2, second)):
        origins = trial["training"]["origins"]
        assert all(origins[name].startswith(f"pggan {name}, seed {number}, trained on") for name in origins)
    assert first["test"]["patients"] == {"mutant": 2, "wildtype": 2}
    assert "Nothing says" not in said, "the run says that it has not learnt the test patients"
    assert "give --count" in sentence(*words)


def test_reproduce_says_what_it_would_do(patches_folder, tmp_path):
    words = ["reproduce", "pggan", "--data", patches_folder, *SETTINGS, "--out", tmp_path / "study"]
    said = run(*words, "--dry-run")
    assert said.count("would be done") == 5 and "DCGAN of mutant" in said
    assert not (tmp_path / "study").exists()
