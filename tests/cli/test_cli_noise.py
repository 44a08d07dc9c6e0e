"""train dcgan and wgan, generate, reproduce brainmr on the command line."""

import pytest
from click.testing import CliRunner

from kerasgan.cli import cli


@pytest.fixture
def run(sagittal_folder, brainmr_overrides):
    settings = [word for override in brainmr_overrides for word in ("--set", override)]

    def invoke(*words, data=True, last=()):
        given = ["--data", str(sagittal_folder), *settings] if data else []
        return CliRunner().invoke(cli, [*words, *given, *last])

    return invoke


def test_train_then_generate(run, tmp_path):
    trained = run("train", "wgan", "--sequence", "T1CE", "--size", "16", "--run-dir", str(tmp_path / "run"), "--quiet")
    assert trained.exit_code == 0, trained.output
    words = ["generate", str(tmp_path / "run"), "--count", "3", "--out", str(tmp_path / "made"), "--quiet"]
    made = run(*words, data=False)
    assert made.exit_code == 0, made.output
    assert len(list((tmp_path / "made").glob("*.png"))) == 3
    again = run(*words, data=False)
    assert again.exit_code == 2 and "is not empty; give --out a new folder" in again.output


def test_all_sequences_are_checked_before_the_first_is_trained(run):
    found = run("train", "dcgan", "--sequence", "all", "--dry-run")
    assert found.exit_code == 0, found.output
    assert "6 of 6: dcgan of concat at 16x16" in found.output


def test_the_size_is_that_of_the_data_unless_it_is_given(run, tmp_path):
    found = run("train", "dcgan", "--sequence", "t1", "--dry-run", "--run-dir", str(tmp_path / "run"))
    assert "dcgan of t1 at 32x32" in found.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sequence", "pd"], "pd"),
        (["--sequence", "all", "--size", "32"], "leave out --size 32"),
        (["--sequence", "t1", "--size", "24"], "24"),
        (["--sequence", "t1", "--set", "dcgan.batch_size=1000"], "a step takes 1000"),
        (["--sequence", "t1", "--set", "study.label=stage"], "study.label=null"),
    ],
)
def test_bad_input_is_one_sentence(run, words, message, tmp_path):
    found = run("train", "dcgan", "--run-dir", str(tmp_path / "run"), last=words)
    assert found.exit_code == 2, found.output
    assert message in found.output and "Traceback" not in found.output
    assert not (tmp_path / "run").exists()
