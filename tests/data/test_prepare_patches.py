"""Patches: the corners of whole slices."""

import json

import numpy as np
import pytest
from small_settings import run, settings

from kerasgan.data.imagesets import of_visits
from kerasgan.data.indexers import index
from kerasgan.data.pipeline import arrays_of
from kerasgan.data.prepare import describe, open_prepared
from kerasgan.errors import UserError

PATCHES = ("data.views=[axial]", "data.selection=range", "data.slice_range=[0.4, 0.6]", "data.size=32", "data.frame=48")


@pytest.fixture
def cohort(brats_folder):
    return index(brats_folder)


def test_patches_are_the_corners_of_the_whole_slice(cohort, tmp_path):
    whole = run(cohort, tmp_path / "whole", *PATCHES[:3], "data.size=48")
    cut = run(cohort, tmp_path / "cut", *PATCHES)
    slice_, patches = whole.manifest.visits[0], cut.manifest.visits[0]
    corners = ("top-left", "top-right", "bottom-left", "bottom-right")
    assert [(view, index) for view, index, _ in patches.slices] == [
        (f"axial-{corner}", index) for _, index, _ in slice_.slices for corner in corners
    ]
    image = arrays_of(whole, [slice_], ("t1",))
    parts = arrays_of(cut, [patches], ("t1",))
    for name in ("t1", "tumour"):
        first = image[name][0]
        expected = [first[:32, :32], first[:32, 16:], first[16:, :32], first[16:, 16:]]
        np.testing.assert_array_equal(parts[name][:4], expected)
    assert [area for *_, area in patches.slices] == [int(tumour.sum()) for tumour in parts["tumour"]]
    assert "patches" in describe(cut) and "slices" in describe(whole)


def test_every_patch_has_a_name_and_its_patient(cohort, tmp_path):
    prepared = run(cohort, tmp_path / "out", *PATCHES)
    visits = prepared.manifest.visits[:2]
    images = of_visits(prepared, visits, "t1")
    assert len(set(images.names)) == len(images) == sum(len(visit.slices) for visit in visits)
    assert images.names[0].startswith("BraTS2021_00000 t1 axial-top-left ")
    assert set(images.groups) == {visit.patient for visit in visits}


def test_a_folder_of_patches_is_not_one_of_slices(cohort, tmp_path):
    run(cohort, tmp_path / "out", *PATCHES)
    with pytest.raises(UserError, match=r"frame: 48, not None as configured.*--set data\.frame=48"):
        open_prepared(tmp_path / "out", settings(*PATCHES[:4]).data)
    run(cohort, tmp_path / "slices", *PATCHES[:4])
    with pytest.raises(UserError, match=r"frame: None, not 48 as configured.*--set data\.frame=null"):
        open_prepared(tmp_path / "slices", settings(*PATCHES).data)


def test_patches_larger_than_the_slice_say_what_to_do():
    with pytest.raises(UserError, match=r"frame must lie between size, 32.*raise frame or lower size"):
        settings("data.frame=24")


def test_a_manifest_from_before_there_were_patches_is_of_whole_slices(cohort, tmp_path):
    run(cohort, tmp_path / "out")
    assert "frame" not in json.loads((tmp_path / "out" / "manifest.json").read_text())["slicing"]
    assert open_prepared(tmp_path / "out", settings().data).manifest.slicing.frame is None


def test_a_volume_that_a_range_misses_names_the_patient(cohort, tmp_path):
    with pytest.raises(UserError, match=r"BraTS2021_0000\d: the volume has 20 axial slices, of which the range 0.5 to"):
        run(cohort, tmp_path / "out", "data.views=[axial]", "data.selection=range", "data.slice_range=[0.5, 0.54]")


def test_volumes_are_not_made_from_patches():
    from kerasgan.papers.pairwise.synthesis import translate_volume

    with pytest.raises(UserError, match="from which volumes cannot be made"):
        translate_volume(None, None, ("axial",), settings(*PATCHES).data)
