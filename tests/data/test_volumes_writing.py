"""Volumes that are written, and volumes in MetaImage."""

import sys

import nibabel
import numpy as np
import pytest
from nifti_files import SHAPE, affine_of, voxels

from kerasgan.data.volumes import (
    Geometry,
    disagreement,
    read_volume,
    write_volume,
)
from kerasgan.errors import UserError

# ---- writing --------------------------------------------------------------------------------------------------------


def test_written_header_has_units_codes_and_spacing(tmp_path):
    geometry = Geometry(SHAPE, affine_of("LPS"), "LPS")
    write_volume(tmp_path / "a.nii.gz", voxels(), geometry, np.float32)
    header = nibabel.load(tmp_path / "a.nii.gz").header
    assert header.get_xyzt_units()[0] == "mm"
    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 1)
    np.testing.assert_allclose(header.get_zooms(), (1, 1.5, 2.25))
    np.testing.assert_allclose(header.get_qform(), affine_of("LPS"), atol=1e-5)


def test_written_bytes_depend_on_the_data_alone(tmp_path):
    geometry = Geometry(SHAPE, affine_of("LPS"), "LPS")
    for name in ("a.nii.gz", "b.nii.gz"):
        write_volume(tmp_path / name, voxels(), geometry, np.int16)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    assert (tmp_path / "a.nii.gz").read_bytes()[4:8] == bytes(4)  # gzip's time stamp
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nii.gz", "b.nii.gz"]


def test_fractions_are_rounded_for_integer_types(tmp_path):
    data = np.full(SHAPE, 2.6, np.float32)
    write_volume(tmp_path / "a.nii", data, Geometry(SHAPE, np.eye(4), "RAS"), np.uint8)
    assert (read_volume(tmp_path / "a.nii").data == 3).all()


@pytest.mark.parametrize("value", [-1.0, 256.0, np.nan])
def test_values_that_do_not_fit_the_type_are_refused(tmp_path, value):
    data = np.zeros(SHAPE)
    data[0, 0, 0] = value
    with pytest.raises(UserError, match="as uint8: values run from"):
        write_volume(tmp_path / "a.nii", data, Geometry(SHAPE, np.eye(4), "RAS"), np.uint8)
    assert not (tmp_path / "a.nii").exists()


def test_a_mask_is_written_as_integers(tmp_path):
    write_volume(tmp_path / "a.nii", voxels() > 99, Geometry(SHAPE, np.eye(4), "RAS"), np.uint8)
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii").data, voxels() > 99)


def test_types_that_nifti_lacks_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"cannot write .*a\.nii: .*float16.* use uint8, int16 or float32"):
        write_volume(tmp_path / "a.nii", voxels(), Geometry(SHAPE, np.eye(4), "RAS"), np.float16)


def test_data_of_another_shape_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"8 x 9 x 7 voxels .* do not fit a grid of 8 x 9 x 6"):
        write_volume(tmp_path / "a.nii", voxels(), Geometry((8, 9, 6), np.eye(4), "RAS"), np.int16)


@pytest.mark.parametrize("name", ["a.mha", "a.png"])
def test_other_formats_are_not_written(tmp_path, name):
    with pytest.raises(UserError, match=r"\.nii\.gz"):
        write_volume(tmp_path / name, voxels(), Geometry(SHAPE, np.eye(4), "RAS"), np.int16)


# ---- MetaImage ------------------------------------------------------------------------------------------------------

swig_warnings = pytest.mark.filterwarnings("ignore:builtin type:DeprecationWarning")


def metaimage(path, components=1):
    sitk = pytest.importorskip("SimpleITK")
    data = voxels(shape=(*SHAPE[::-1], components)) if components > 1 else voxels(shape=SHAPE[::-1])
    image = sitk.GetImageFromArray(data, isVector=components > 1)
    image.SetSpacing((1.0, 1.5, 2.25))
    image.SetOrigin((10.0, -20.0, 30.0))
    image.SetDirection((0, 0, -1, 1, 0, 0, 0, -1, 0))
    sitk.WriteImage(image, str(path))
    return str(path)


@swig_warnings
def test_metaimage_and_nifti_of_one_image_agree(tmp_path):
    first = read_volume(metaimage(tmp_path / "a.mha"))
    second = read_volume(metaimage(tmp_path / "a.nii"))
    np.testing.assert_array_equal(first.data, second.data)
    np.testing.assert_allclose(first.affine, second.affine, atol=1e-5)
    assert first.geometry.orientation == second.geometry.orientation
    assert first.geometry.shape == SHAPE
    assert disagreement(first, second) is None


@swig_warnings
@pytest.mark.parametrize("count", [100, -50])
def test_truncated_metaimage_names_the_file(tmp_path, count):
    path = tmp_path / "a.mha"
    metaimage(path)
    path.write_bytes(path.read_bytes()[:count])
    with pytest.raises(UserError, match=r"a\.mha is (truncated|no MetaImage)"):
        read_volume(path)


@swig_warnings
def test_metaimage_with_vectors_is_refused(tmp_path):
    with pytest.raises(UserError, match="3 numbers per voxel"):
        read_volume(metaimage(tmp_path / "a.mha", components=3))


@swig_warnings
def test_missing_metaimage_is_named(tmp_path):
    pytest.importorskip("SimpleITK")
    with pytest.raises(UserError, match=r"no such file: .*a\.mha"):
        read_volume(tmp_path / "a.mha")


def test_metaimage_without_simpleitk_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    (tmp_path / "a.mha").write_bytes(b"")
    with pytest.raises(UserError, match=r"pip install 'kerasgan\[mha\]'"):
        read_volume(tmp_path / "a.mha")
