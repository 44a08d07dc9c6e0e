"""train aggrgan, aggregate, generate and export of its members on the command line."""

import pytest
from click.testing import CliRunner

from kerasgan.cli import cli


@pytest.fixture
def run(classes_folder, aggrgan_overrides):
    settings = [word for override in aggrgan_overrides for word in ("--set", override)]

    def invoke(*words, data=True):
        given = ["--data", str(classes_folder), *settings] if data else []
        return CliRunner().invoke(cli, [*words[:2], *given, *words[2:]])  # the last of two settings counts

    return invoke


def test_train_aggregate_generate_and_export(run, tmp_path):
    trained = run("train", "aggrgan", "--class", "mutant", "--run-dir", str(tmp_path / "mutant"), "--quiet")
    assert trained.exit_code == 0, trained.output
    words = ["aggregate", str(tmp_path / "mutant"), "--count", "3", "--quiet"]
    made = run(*words, "--no-style", "--out", str(tmp_path / "made"), data=False)
    assert made.exit_code == 0, made.output
    assert len(list((tmp_path / "made").glob("image_*.png"))) == 3
    again = run(*words, "--no-style", "--out", str(tmp_path / "made"), data=False)
    assert again.exit_code == 2 and "is not empty; give --out a new folder" in again.output
    asked = run(*words, "--weights", "gone.h5", "--out", str(tmp_path / "styled"), data=False)
    assert asked.exit_code == 2 and "there is no file gone.h5" in asked.output
    single = str(tmp_path / "mutant" / "wgandiv")
    noise = run("generate", single, "--count", "2", "--out", str(tmp_path / "noise"), "--quiet", data=False)
    assert noise.exit_code == 0, noise.output
    served = run("export", single, "--to", str(tmp_path / "served"), "--no-warmup", data=False)
    assert served.exit_code == 0 and (tmp_path / "served" / "wgandiv_mutant" / "1" / "saved_model.pb").is_file()


def test_flags_reach_each_of_the_three(run, tmp_path):
    words = ["train", "aggrgan", "--class", "t2", "--seed", "77", "--dry-run", "--run-dir", str(tmp_path / "run")]
    found = run(*words)
    assert found.exit_code == 0, found.output
    assert found.output.count("seed: 77") == 3, "each model's own"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dcgan1", "--class", "Mutant"], "unknown class 'Mutant'; did you mean 'mutant'?"),
        (["infogan", "--class", "mutant", "--set", "infogan.categories=20"], "network.latent must be larger"),
        (["lsgan", "--class", "mutant", "--set", "lsgan.batch_size=1000"], "a step takes 1000; add patients"),
        (["dcgan2", "--class", "mutant", "--set", "study.label=site"], "no train or validation patient of mutant"),
        (["wgandiv", "--class", "mutant", "--set", "wgandiv.points=somewhere"], "mixed"),
    ],
)
def test_bad_input_is_one_sentence(run, tmp_path, words, message):
    found = run("train", *words, "--run-dir", str(tmp_path / "run"))
    assert found.exit_code == 2
    assert message in found.output and "Traceback" not in found.output
    assert not (tmp_path / "run").exists()


def test_reproduce_says_what_it_would_do(run, tmp_path):
    found = run("reproduce", "aggrgan", "--dry-run", "--out", str(tmp_path / "study"))
    assert found.exit_code == 0, found.output
    # Two tumours and four modalities of five models and their images; a network for each kind.
    assert "step 36 of 36, images of flair: would be done" in found.output
    assert "step 2 of 2, classification of modalities by small: would be done" in found.output
    assert not (tmp_path / "study").exists()
