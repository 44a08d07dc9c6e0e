"""`reproduce pggan` on the tiny cohort, and its tables."""

import json
import shutil
from dataclasses import replace

import pytest
from conftest import PGGAN

from kerasgan import experiment
from kerasgan.errors import UserError
from kerasgan.evaluation.gan_train import GanTrain, Side, SvmSettings, Trial
from kerasgan.experiment.generation import generated
from kerasgan.experiment.studies import pggan as studies
from kerasgan.metrics.classification import Confusion
from kerasgan.papers import settings_of
from kerasgan.papers.pggan import study
from kerasgan.papers.pggan.published import TABLE_1


@pytest.fixture(scope="module")
def options(patches_folder):
    return {"data": patches_folder, "overrides": PGGAN, "quiet": True}


@pytest.fixture(scope="module")
def folder(options, pggan_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "study"
    # Trained with the same settings on the same data; a study leaves no checkpoints.
    shutil.copytree(pggan_run, out / "pggan", ignore=shutil.ignore_patterns("checkpoints"))
    return experiment.reproduce_pggan(out=out, **options)


def stamps(folder):
    kept = ("run.json", "gan_train.json", "encoder.keras", "generator.keras")
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name in kept}


def test_tables_name_the_data_and_show_the_printed_beside_ours(folder):
    text = (folder / "tables.md").read_text()
    assert "Ours on: BraTS folders in" in text
    for part in ("PGGAN 14 steps (20000) of 4 images (4)", "DCGAN 4", "images of 16 (256)"):
        assert part in text
    rows = {line.split("|")[1].strip(): line for line in text[: text.index("## GAN-test")].splitlines() if "|" in line}
    for name, printed in {"PGGAN": "0.762 / 0.712 / 0.736", "DCGAN": "0.584 / 0.613 / 0.598"}.items():
        assert printed in rows[name]
    assert "0.883 / 0.885 / 0.883" in rows["Real data"]
    assert "2 mutant and 2 wildtype patients whom no GAN has seen. Means over 2 sets of 12 generated images" in text
    assert "| training images |" in text and "SWD 16 px" in text


def test_every_number_can_be_traced(folder, patches_folder):
    results = json.loads((folder / "results.json").read_text())
    result = results["result"]
    assert (result["positive"], result["negative"]) == ("mutant", "wildtype")
    for name, run in (("PGGAN", "pggan"), ("DCGAN", "dcgan/mutant")):
        trials = result["gan_train"][name]
        assert [own["training"]["images"] for own in trials] == [{"mutant": 12, "wildtype": 12}] * 2
        assert trials[0]["test"]["patients"] == {"mutant": 2, "wildtype": 2} and trials[0]["resampled"] == "patients"
        category = "mutant" if name == "PGGAN" else None
        assert trials[1]["training"]["origins"]["mutant"] == generated(folder / run, 1, 2, category).origin
    assert result["reference"]["training"]["images"] == {"mutant": 12, "wildtype": 12}, "as many as generated ones"
    (row,) = [row for row in results["rows"]["table1"]["rows"] if row[0] == "Real data"]
    assert row[1].startswith(f"{result['reference']['measures']['sensitivity']:.3f} [")
    assert (folder / "table1.csv").read_text().startswith("# Table 1")
    assert {"gan_test.csv", "distances.csv", "encoder.json"} <= {path.name for path in folder.iterdir()}
    assert not list(folder.rglob("checkpoints"))
    for name in ("mutant", "wildtype"):
        about = json.loads((folder / "dcgan" / name / "metrics.json").read_text())["data"]
        assert f"3 training patients with idh={name}, 48 images" in about


def test_the_figure_has_a_line_per_class_and_source(folder, options, monkeypatch):
    sheets = {}
    monkeypatch.setattr(studies, "image_sheet", lambda path, *given: sheets.update({path.name: given}))
    experiment.reproduce_pggan(out=folder, **options)
    images, rows, columns, title = sheets["figure3.png"]
    assert images.shape == (6, 8, 16, 16) and columns == [""]
    assert rows == [f"{name}, {source}" for name in ("mutant", "wildtype") for source in ("PGGAN", "DCGAN", "real")]
    assert title.startswith(
        "PGGAN after 14 and DCGAN after 4 generator steps, real images of test patients; T1; data: "
    )
    assert (folder / "figure3.png").is_file()


def test_what_is_done_is_not_done_again(folder, options, capsys):
    before, results = stamps(folder), (folder / "results.json").read_bytes()
    assert len(before) == 3 + 3 + 2
    experiment.reproduce_pggan(out=folder, **options | {"quiet": False})
    assert capsys.readouterr().err.count(": done") == 5
    assert stamps(folder) == before and (folder / "results.json").read_bytes() == results


def test_other_settings_of_gan_train_judge_anew_and_train_nothing(folder, options, tmp_path, capsys):
    copied = shutil.copytree(folder, tmp_path / "study")
    before = stamps(copied)
    overrides = [*PGGAN, "gan_train.images=6"]
    experiment.reproduce_pggan(out=copied, **options | {"overrides": overrides})
    assert {path for path, then in stamps(copied).items() if then != before[path]} == {copied / "gan_train.json"}
    result = json.loads((copied / "gan_train.json").read_text())["result"]
    assert result["gan_train"]["PGGAN"][0]["training"]["images"] == {"mutant": 6, "wildtype": 6}
    experiment.reproduce_pggan(
        out=copied, dry_run=True, **options | {"overrides": [*overrides, "gan_train.encoder_epochs=2"], "quiet": False}
    )
    said = capsys.readouterr().err
    assert said.count(": done") == 3 and "features of real images: would be done" in said
    (copied / "pggan" / "generators" / "generator.keras").unlink()
    experiment.reproduce_pggan(out=copied, dry_run=True, **options | {"overrides": overrides, "quiet": False})
    assert "GAN-train: would be done" in capsys.readouterr().err


def test_dry_run_before_anything_is_there(options, tmp_path, monkeypatch, capsys):
    experiment.reproduce_pggan(out=tmp_path / "new", dry_run=True, **options | {"quiet": False})
    assert capsys.readouterr().err.count("would be done") == 5
    monkeypatch.setenv("KERASGAN_CACHE", str(tmp_path / "cache"))
    experiment.reproduce_pggan(out=tmp_path / "new", dry_run=True, profile="smoke")
    patients = settings_of("pggan", profile="smoke").phantom.patients
    said = capsys.readouterr().out
    assert f"would simulate {patients} patients and run the study into" in said and "batch_size:" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("dcgan.batch_size=60", "has 48 images of dcgan of t1 at 16x16 to learn from, a step takes 60"),
        ("dcgan.filters=[8]", "filters"),
        ("gan_train.backbone=vgg61", "did you mean 'vgg16'"),
        ("pggan.batch_size=6", "groups of 4"),
    ],
)
def test_what_would_stop_the_study_is_found_before_the_training(options, tmp_path, override, message):
    for dry_run in (True, False):
        with pytest.raises(UserError, match=message):
            experiment.reproduce_pggan(
                out=tmp_path / "new", dry_run=dry_run, **options | {"overrides": [*PGGAN, override]}
            )
    assert not (tmp_path / "new").exists()


def test_the_comparison_is_as_the_configuration_says():
    """DCGAN for 20,000 steps, on the same slices and patients."""
    settings = settings_of("pggan")
    assert settings.dcgan.steps == settings.pggan.steps == 20000
    assert len(settings.dcgan.filters) == 6  # 4 x 4 to 256 x 256
    assert settings.gan_train.backbone == "vgg16"


# ---- tables by hand ----


def trial(sensitivity, width):
    side = Side({}, {}, None)
    measures = dict.fromkeys(("sensitivity", "specificity", "harmonic_mean", "accuracy", "auc"), sensitivity)
    intervals = {name: (value - width, value + width) for name, value in measures.items()}
    return Trial(side, side, Confusion(1, 1, 1, 1), measures, intervals, "patients")


def test_cells_are_means_over_sets_of_images():
    runs = {"PGGAN": (trial(0.5, 0.1), trial(0.7, 0.2)), "DCGAN": (trial(0.25, 0.0),)}
    settings = SvmSettings(1.0, 10, 0.95, 1)
    result = GanTrain("abnormal", "normal", "", "", settings, runs, {"PGGAN": (trial(0.9, 0.05),)}, trial(0.8, 0.1))
    table = study.gan_train_table(result, ["note"])
    assert [row[0] for row in table.rows] == list(TABLE_1)
    assert [row[1] for row in table.rows] == ["0.600 [0.450, 0.750]", "0.250 [0.250, 0.250]", "0.800 [0.700, 0.900]"]
    assert all(len(row) == len(table.header) for row in table.rows)
    assert "| note" not in table.markdown() and "note" in table.markdown()
    assert study.gan_test_table(result).rows == [["PGGAN", *["0.900 [0.850, 0.950]"] * 5]]
    assert study.gan_test_table(replace(result, gan_test={})).rows == []


def test_distances_by_data_set():
    table = study.distance_table({"PGGAN": {"IS": 1.23456, "FID": 12345.6}, "DCGAN": {"IS": 1, "FID": 0.5}}, [])
    assert table.rows == [["PGGAN", "1.235", "1.235e+04"], ["DCGAN", "1", "0.5"]]
    assert list(table.header) == ["", "IS", "FID"]
