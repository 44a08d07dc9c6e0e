"""What `kerasgan data index` says of a folder, for every layout."""

import csv
import json

import h5py
import nibabel
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from kerasgan.cli import cli
from kerasgan.data.cohort import Cohort, Visit
from kerasgan.data.indexers import INDEXERS
from kerasgan.data.overview import overview


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def picture(path, shape=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)).save(path)


def brats(folder):
    touch(folder, *(f"HGG/p1/p1_{kind}.nii.gz" for kind in ("t1", "t1ce", "t2", "flair", "seg", "brain_mask")))
    touch(folder, "p2/p2_t1.nii.gz", "notes.txt")


def msd(folder):
    for part in ("imagesTr", "imagesTs", "labelsTr"):
        (folder / part).mkdir()
    nibabel.Nifti1Image(np.zeros((2, 2, 2, 1), np.int16), np.eye(4)).to_filename(folder / "imagesTr/b_1.nii.gz")
    touch(folder, "labelsTr/b_1.nii.gz", "imagesTs/b_2.nii.gz")
    (folder / "dataset.json").write_text(json.dumps({"modality": {"0": "FLAIR"}}))


def tcga(folder):
    kinds = ("t1", "GlistrBoost", "GlistrBoost_ManuallyCorrected")
    touch(folder, *(f"TCGA-02-0003/TCGA-02-0003_1997.06.08_{kind}.nii.gz" for kind in kinds))


def rembrandt(folder):
    touch(folder, "HGG/HF1442/HF1442_flair.nii.gz", "HGG/HF1442/HF1442_mask.nii.gz")
    touch(folder, "HF1490/HF1490_flair.nii.gz", "HF1490/HF1490_roi.nii.gz")


def neonatal(folder):
    touch(folder, "T1/N_02.nii.gz", "T1/N_05.nii.gz", "T2/N_05.nii.gz", "atlas/N_02.nii.gz")


def lgg_slices(folder):
    name = "TCGA_CS_4941_19960909"
    for number in (1, 2):
        picture(folder / name / f"{name}_{number}.tif", (8, 8, 3))
        picture(folder / name / f"{name}_{number}_mask.tif")
    picture(folder / name / "overview.png")


def figshare(folder):
    with h5py.File(folder / "1.mat", "w") as file:
        fields = {"label": [[3.0]], "PID": np.array([[ord("7")]], np.uint16), "image": [[1]], "tumorMask": [[1]]}
        for field, value in fields.items():
            file[f"cjdata/{field}"] = value
    with h5py.File(folder / "cvind.mat", "w") as file:
        file["cvind"] = np.full((1, 1), 4.0)
    touch(folder, "extra.mat")


def class_folders(folder):
    picture(folder / "glioma" / "1[a].png")
    picture(folder / "pituitary" / "2.png")
    picture(folder / "legend.png")


def phantom(folder):
    touch(folder, "phantom_000/phantom_000_t1.nii.gz", "phantom_000/phantom_000_seg.nii.gz")
    (folder / "phantom.json").write_text(json.dumps({"seed": 7, "grid": 64, "patients": 1}))
    (folder / "labels.csv").write_text("patient,idh,grade\nphantom_000,mutant,LGG\n")


SAID = {
    brats: [
        "images: T1 2, T1e 1, T2 1, FLAIR 1; masks 1, none for p2",
        "label grade: HGG 1, none for p2",
        "not used: HGG/p1/p1_brain_mask.nii.gz",
    ],
    msd: [
        "images: FLAIR 1; masks 1",
        "labels: none; --labels TABLE --label-column NAME adds some",
        "not used: imagesTs/b_2.nii.gz",
    ],
    tcga: [
        "images: T1 1; masks 1",
        "labels: none; --labels TABLE --label-column NAME adds some",
        "not used: TCGA-02-0003/TCGA-02-0003_1997.06.08_GlistrBoost.nii.gz",
    ],
    rembrandt: [
        "images: FLAIR 2; masks 1, none for HF1490",
        "label grade: HGG 1, none for HF1490",
        "not used: HF1490/HF1490_roi.nii.gz",
    ],
    neonatal: [
        "images: T1 2, T2 1; no masks",
        "labels: none; --labels TABLE --label-column NAME adds some",
        "not used: atlas/N_02.nii.gz",
    ],
    lgg_slices: [
        "images: T1 1, T1e 1, FLAIR 1; masks 1",
        "labels: none; --labels TABLE --label-column NAME adds some",
        "not used: TCGA_CS_4941_19960909/overview.png",
    ],
    figshare: ["images: T1e 1; masks 1", "label tumour: pituitary 1", "label fold: 4 1", "not used: extra.mat"],
    class_folders: [
        "images: T1e 2; no masks",
        "label tumour: glioma 1, pituitary 1",
        "not used: legend.png",
    ],
    phantom: ["images: T1 1; masks 1", "label idh: mutant 1", "label grade: LGG 1"],
}


def test_every_layout_is_tried():
    assert {make.__name__ for make in SAID} == set(INDEXERS)


@pytest.mark.parametrize("make", SAID, ids=lambda make: make.__name__)
def test_what_was_found_and_what_was_not_used_is_said_beside_the_result(tmp_path, make):
    (tmp_path / "set").mkdir()
    make(tmp_path / "set")
    words = ["data", "index", str(tmp_path / "set"), "--layout", make.__name__, "--out", str(tmp_path / "cohort.csv")]
    found = CliRunner().invoke(cli, words)
    assert found.exit_code == 0, found.output
    assert found.stderr.splitlines() == SAID[make]
    (line,) = found.stdout.splitlines()
    assert line.startswith(f"{tmp_path / 'cohort.csv'}: ")
    with (tmp_path / "cohort.csv").open() as file:
        assert f": {len(list(csv.reader(file))) - 2} visits of" in line


def test_long_lists_are_cut_and_many_values_counted(tmp_path):
    touch(tmp_path, *(f"p{n}_roi.nii.gz" for n in range(5)))
    visits = tuple(Visit(f"p{n}", labels={"age": str(n)}) for n in range(9))
    images, age, unused = overview(Cohort((*visits, Visit("p9")), "test"), tmp_path)
    assert images == "images: none; no masks"
    assert age == "label age: 9 values, none for p9"
    assert unused == "not used: p0_roi.nii.gz, p1_roi.nii.gz, p2_roi.nii.gz and 2 more"
