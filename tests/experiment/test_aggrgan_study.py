"""`reproduce aggrgan` on the tiny cohort."""

import json
import shutil

import numpy as np
import pytest
from conftest import undrawn

from kerasgan import experiment
from kerasgan.errors import UserError
from kerasgan.experiment.studies import aggrgan as studies
from kerasgan.papers import settings_of
from kerasgan.papers.aggrgan import making, study
from kerasgan.papers.aggrgan.study import Score


@pytest.fixture(scope="module")
def options(classes_folder, aggrgan_overrides):
    return {"data": classes_folder, "overrides": aggrgan_overrides, "classes": ("tumours",), "quiet": True}


@pytest.fixture(scope="module")
def folder(options, tmp_path_factory):
    with undrawn():
        return experiment.reproduce_aggrgan(out=tmp_path_factory.mktemp("study") / "study", **options)


def test_tables_name_the_data_the_weights_and_the_length(folder):
    text = (folder / "tables.md").read_text()
    assert "BraTS" in text and "random weights, seed 1, 1 iterations (2000)" in text
    assert "DCGAN-1 2 epochs (1000), DCGAN-2 2 epochs (650)" in text
    assert "Table 1:" in text and "Table 3:" in text and "Table 5:" in text and "Table 2:" not in text
    assert "split by patient" in text
    for name in ("table1.csv", "table3.csv", "table5_tumours.csv", "results.json", "figure3.png", "figure5.png"):
        assert (folder / name).is_file(), name
    assert not (folder / "figure4.png").exists()


def test_figures_have_a_line_per_class_and_a_column_per_method(folder, options, monkeypatch):
    sheets = {}
    monkeypatch.setattr(studies, "image_sheet", lambda path, *given: sheets.update({path.name: given}))
    experiment.reproduce_aggrgan(out=folder, **options)
    assert set(sheets) == {"figure3.png", "figure5.png"}
    images, rows, columns, title = sheets["figure5.png"]
    assert rows == ["mutant", "wildtype"] and tuple(columns) == (*study.COMPARED_ROWS, "real")
    np.testing.assert_array_equal(images[0, -1], kept(folder, "real")[0])
    np.testing.assert_array_equal(images[0, 0], kept(folder, columns[0])[0])
    assert "DCGAN-1 2 epochs (1000)" in title and "which the GANs have learnt" in title and "data: BraTS" in title


def kept(folder, method):
    with np.load(folder / "images" / "mutant" / f"{method.replace(' ', '_')}.npz") as file:
        return file["images"]


def test_every_number_is_measured_on_the_images_that_are_kept(folder):
    scores = json.loads((folder / "results.json").read_text())["scores"]["mutant"]
    assert set(scores) == {*study.ROWS, *study.COMPARED_ROWS}
    real = kept(folder, "real")
    for method, own in scores.items():
        for measure, values in making.measured(real, kept(folder, method), settings_of("dcgan1").measures).items():
            assert own[measure] == pytest.approx([values.mean(), values.std()], rel=1e-6)


def test_the_classification_has_every_case(folder):
    results = json.loads((folder / "results.json").read_text())["classification"]["tumours"]
    assert [each["case"] for each in results] == ["Case-1", "Case-2", "Case-3 (a)", "Case-3 (b)", "Case-3 (c)"]
    for each in results:
        confusion = np.array(each["confusion"])
        assert each["accuracy"] == pytest.approx(np.trace(confusion) / confusion.sum())
    by_case = {each["case"]: each["images"] for each in results}
    # 12 learnt, 8 held out, 8 generated; a fifth of what is trained on is for validation, by whole patients.
    assert sum(by_case["Case-3 (a)"]) == 20 and by_case["Case-3 (a)"][2] == 8
    assert sum(by_case["Case-3 (b)"]) == 28 and by_case["Case-3 (b)"][2] == 8
    assert by_case["Case-1"][2] == 8 and sum(by_case["Case-1"]) == 28


def test_what_is_done_is_not_done_again(folder, options, capsys):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.suffix in (".npz", ".keras")}
    experiment.reproduce_aggrgan(out=folder, **options | {"quiet": False})
    assert capsys.readouterr().err.count(": done") == 2 * 6 + 1
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.suffix in (".npz", ".keras")}
    changed = [*options["overrides"], "aggregation.sigma=2.0"]
    experiment.reproduce_aggrgan(out=folder, dry_run=True, **options | {"quiet": False, "overrides": changed})
    said = capsys.readouterr().err
    assert said.count(": would be done") == 3 and "images of mutant: would be done" in said
    assert "classification of tumours by small: would be done" in said


def test_another_epsilon_measures_the_images_that_are_there_anew(folder, options, tmp_path, monkeypatch):
    copy = shutil.copytree(folder, tmp_path / "study")
    monkeypatch.setattr(making, "styled", None)
    changed = [*options["overrides"], "measures.epsilon=1e-3"]
    experiment.reproduce_aggrgan(out=copy, **options | {"overrides": changed})
    before, after = (json.loads((each / "results.json").read_text()) for each in (folder, copy))
    before, after = (each["scores"]["mutant"]["DCGAN-1"] for each in (before, after))
    assert after["KL divergence"] != before["KL divergence"] and after["SSIM"] == before["SSIM"]


def test_images_that_are_lost_are_made_again_without_styling_the_others(folder, options, capsys, monkeypatch):
    (folder / "images" / "mutant" / "real.npz").unlink()
    monkeypatch.setattr(making, "styled", None)
    experiment.reproduce_aggrgan(out=folder, **options | {"quiet": False})
    said = capsys.readouterr().err
    assert said.count(": done") == 2 * 6 - 1 + 1 and kept(folder, "real").shape == (4, 32, 32)


def test_a_split_by_slice_warns(folder, options, capsys):
    changed = [*options["overrides"], "classification.split=slice"]
    experiment.reproduce_aggrgan(out=folder, dry_run=True, **options | {"quiet": False, "overrides": changed})
    assert "warning: split by slice: slices of one patient are on both sides" in capsys.readouterr().err


def test_bad_input_comes_before_training(options, tmp_path):
    overrides = [*options["overrides"], "study.label=grade", "study.tumours=[glioma]"]
    with pytest.raises(UserError, match="has no classes of tumours; leave out --classes"):
        experiment.reproduce_aggrgan(out=tmp_path, **options | {"overrides": overrides})
    overrides = [*options["overrides"], "style.weights=gone.h5"]
    with pytest.raises(UserError, match=r"there is no file gone\.h5"):
        experiment.reproduce_aggrgan(out=tmp_path, dry_run=True, **options | {"overrides": overrides})
    overrides = [*options["overrides"], "classification.networks=[vgg19]", "classification.weights.vgg19=lost.h5"]
    with pytest.raises(UserError, match=r"there is no file lost\.h5; expected VGG19 weights"):
        experiment.reproduce_aggrgan(out=tmp_path, **options | {"overrides": overrides})
    overrides = [*options["overrides"], "infogan.batch_size=900"]
    with pytest.raises(UserError, match="infogan of mutant to learn from, a step takes 900"):
        experiment.reproduce_aggrgan(out=tmp_path, **options | {"overrides": overrides})
    assert not list(tmp_path.iterdir())


def test_the_printed_stands_beside_ours():
    own = {"SSIM": Score(0.5, 0.1), "PSNR": Score(20, 2), "KL divergence": Score(0.4, 0.2), "SD": Score(30, 1)}
    scores = {"glioma": dict.fromkeys((*study.ROWS, *study.COMPARED_ROWS), own)}
    first, third = study.tables("tumours", scores, ["a note"])
    assert first.rows[0][:6] == ["Glioma", "DCGAN-1", "0.39", "0.50 (0.10)", "17.33", "20.00 (2.00)"]
    assert first.rows[0][6:] == ["0.23", "0.40 (0.20)", "28.52", "30.00 (1.00)"]
    before = next(row for row in first.rows if row[1] == "AGGrGAN (SSIM) before style transfer")
    assert before[2] == "–" and before[3] == "0.50 (0.10)"
    assert [row[1] for row in third.rows] == ["LSGAN", "InfoGAN", "AGGrGAN (SSIM)"]
    assert third.rows[1][2] == "0.43" and third.rows[2][2] == "0.57" and third.notes == ["a note"]
