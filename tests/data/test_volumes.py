import gzip
import itertools
import struct

import nibabel
import numpy as np
import pytest
from nifti_files import OBLIQUE, SHAPE, affine_of, save, voxels

from kerasgan.data.volumes import (
    Geometry,
    disagreement,
    read_each,
    read_volume,
    read_volumes,
    write_volume,
)
from kerasgan.errors import UserError

ORIENTATIONS = [
    "".join(codes) for axes in itertools.permutations(("RL", "AP", "SI")) for codes in itertools.product(*axes)
]


def test_orientations_are_all_48():
    assert len(set(ORIENTATIONS)) == 48


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_round_trip_keeps_data_affine_and_shape(tmp_path, codes):
    affine = affine_of(codes)
    source = save(tmp_path / "source.nii.gz", voxels(), affine)
    volume = read_volume(source)
    write_volume(tmp_path / "copy.nii.gz", volume.data, volume.geometry, np.int16)
    copy = nibabel.load(tmp_path / "copy.nii.gz")
    assert volume.geometry.orientation == codes
    np.testing.assert_array_equal(np.asanyarray(copy.dataobj), voxels())
    np.testing.assert_array_equal(copy.affine, affine)
    assert copy.get_data_dtype() == np.int16


@pytest.mark.parametrize(
    "affine", [*map(affine_of, ("LPS", "SAR", "IPR")), OBLIQUE], ids=["LPS", "SAR", "IPR", "oblique"]
)
def test_canonical_voxels_keep_their_place_in_the_head(tmp_path, affine):
    volume = read_volume(save(tmp_path / "a.nii", voxels(), affine))
    assert "".join(nibabel.aff2axcodes(volume.affine)) == "RAS"
    to_stored = np.linalg.inv(affine) @ volume.affine
    for index in np.ndindex(volume.data.shape):
        stored = np.rint(to_stored @ (*index, 1))[:3].astype(int)
        assert volume.data[index] == voxels()[tuple(stored)]


def test_agrees_with_nibabels_canonical_image(tmp_path):
    source = save(tmp_path / "a.nii.gz", voxels(), OBLIQUE)
    expected = nibabel.as_closest_canonical(nibabel.load(source))
    volume = read_volume(source)
    np.testing.assert_array_equal(volume.data, np.asanyarray(expected.dataobj))
    np.testing.assert_allclose(volume.affine, expected.affine, rtol=1e-12)
    np.testing.assert_allclose(volume.geometry.affine, OBLIQUE, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_unscaled_voxels_keep_the_files_type(tmp_path, dtype, suffix):
    volume = read_volume(save(tmp_path / f"a{suffix}", voxels(dtype)))
    assert volume.data.dtype == dtype
    np.testing.assert_array_equal(volume.data, voxels(dtype))


def test_nothing_is_copied_between_the_bytes_and_the_canonical_view(tmp_path):
    volume = read_volume(save(tmp_path / "a.nii.gz", voxels(), affine_of("LPS")))
    assert isinstance(_buffer(volume.data), bytes)


def _buffer(array):
    while isinstance(array, np.ndarray):
        array = array.base
    return array


def test_scaling_of_the_header_gives_float32(tmp_path):
    path = tmp_path / "a.nii"
    content = bytearray(nibabel.Nifti1Image(voxels(), np.eye(4)).to_bytes())
    content[112:120] = struct.pack("<2f", 0.5, -3)  # scl_slope, scl_inter
    path.write_bytes(content)
    volume = read_volume(path)
    assert volume.data.dtype == np.float32
    np.testing.assert_array_equal(volume.data, voxels() * 0.5 - 3)


def test_big_endian_files_come_in_native_order(tmp_path):
    header = nibabel.Nifti1Header(endianness=">")
    image = nibabel.Nifti1Image(voxels(">i2"), np.eye(4), header)
    (tmp_path / "a.nii").write_bytes(image.to_bytes())
    volume = read_volume(tmp_path / "a.nii")
    assert volume.data.dtype.isnative
    np.testing.assert_array_equal(volume.data, voxels())


def test_nifti_2_is_read(tmp_path):
    (tmp_path / "a.nii").write_bytes(nibabel.Nifti2Image(voxels(), affine_of("PIR")).to_bytes())
    assert read_volume(tmp_path / "a.nii").geometry.orientation == "PIR"


def test_gzip_of_several_members_is_read(tmp_path):
    content = nibabel.Nifti1Image(voxels(), np.eye(4)).to_bytes()
    half = len(content) // 2  # equal members: the last one's size says nothing of the whole
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(content[:half]) + gzip.compress(content[half:]))
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii.gz").data, voxels())


def test_the_geometry_is_the_stored_grid(tmp_path):
    geometry = read_volume(save(tmp_path / "a.nii.gz", voxels(), affine_of("LPS"))).geometry
    assert (geometry.shape, geometry.orientation, geometry.spacing) == (SHAPE, "LPS", (1, 1.5, 2.25))
    np.testing.assert_array_equal(geometry.affine, affine_of("LPS"))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_header_extensions_are_passed_over(tmp_path, suffix):
    image = nibabel.Nifti1Image(voxels(), affine_of("LPS"))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"long " * 2000))
    content = image.to_bytes()
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress(content) if suffix == ".nii.gz" else content)
    volume = read_volume(path)
    assert volume.geometry.orientation == "LPS"
    np.testing.assert_array_equal(volume.data, voxels()[::-1, ::-1])


# ---- channels of 4-D files ------------------------------------------------------------------------------------------


def test_a_channel_of_a_4d_file(tmp_path):
    data = voxels(shape=(*SHAPE, 4))
    source = save(tmp_path / "a.nii.gz", data)
    volume = read_volume(f"{source}#2")
    np.testing.assert_array_equal(volume.data, data[..., 2])
    assert volume.geometry.shape == SHAPE
    assert volume.source == f"{source}#2"


def test_a_4d_file_of_one_volume_is_3d(tmp_path):
    source = save(tmp_path / "a.nii", voxels(shape=(*SHAPE, 1)))
    np.testing.assert_array_equal(read_volume(source).data, voxels(shape=(*SHAPE, 1))[..., 0])


def test_4d_without_a_channel_is_refused(tmp_path):
    source = save(tmp_path / "a.nii.gz", voxels(shape=(*SHAPE, 4)))
    with pytest.raises(UserError, match=r"a\.nii\.gz is 4-D \(8 x 9 x 7 x 4\).*#0 to .*#3"):
        read_volume(source)


def test_a_channel_that_does_not_exist_is_refused(tmp_path):
    source = save(tmp_path / "a.nii", voxels(shape=(*SHAPE, 2)))
    with pytest.raises(UserError, match="channels 0 to 1"):
        read_volume(f"{source}#2")


def test_a_channel_of_a_3d_file_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"is 3-D .*: a 4-D file is needed for channel 0"):
        read_volume(save(tmp_path / "a.nii", voxels()) + "#0")


def test_2d_files_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"is 2-D \(8 x 9\): 3-D is expected"):
        read_volume(save(tmp_path / "a.nii", voxels(shape=(8, 9))))


# ---- files that cannot be used --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [0.01, 0.5, 0.99, -4])
def test_truncated_gzip_names_the_file(tmp_path, kept):
    path = tmp_path / "cut.nii.gz"
    save(path, voxels())
    whole = path.read_bytes()
    path.write_bytes(whole[: kept if kept < 0 else int(kept * len(whole))])
    with pytest.raises(UserError, match=r"cut\.nii\.gz is truncated or damaged"):
        read_volume(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_whole_stream_with_too_few_voxels_is_truncated(tmp_path, suffix):
    content = nibabel.Nifti1Image(voxels(), np.eye(4)).to_bytes()[:-10]
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(gzip.compress(content) if suffix == ".nii.gz" else content)
    with pytest.raises(UserError, match="truncated: 10 bytes of its 8 x 9 x 7 voxels are missing"):
        read_volume(path)


def test_a_flipped_bit_is_found_by_the_checksum(tmp_path):
    path = tmp_path / "a.nii.gz"
    save(path, voxels())
    content = bytearray(path.read_bytes())
    content[-6] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        read_volume(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.nii", b""),
        ("a.nii", b"no image" * 99),
        ("a.nii.gz", gzip.compress(b"no image" * 99, mtime=0)),
        ("a.nii.gz", b""),
    ],
)
def test_what_is_no_nifti_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name} is no NIfTI file"):
        read_volume(tmp_path / name)


@pytest.mark.parametrize(
    ("field", "content", "message"),
    [
        (40, struct.pack("<4h", 3, 8, -9, 7), "a.nii is empty: its header says 8 x -9 x 7"),
        (70, struct.pack("<h", 999), "a.nii has a broken NIfTI header"),  # datatype
        (108, struct.pack("<f", np.nan), "a.nii has a broken NIfTI header"),  # vox_offset
        (112, struct.pack("<2f", 1, np.inf), "a.nii has a broken NIfTI header"),  # scl_slope, scl_inter
    ],
)
def test_broken_headers_are_refused(tmp_path, field, content, message):
    whole = bytearray(nibabel.Nifti1Image(voxels(), np.eye(4)).to_bytes())
    whole[field : field + len(content)] = content
    (tmp_path / "a.nii").write_bytes(whole)
    with pytest.raises(UserError, match=message):
        read_volume(tmp_path / "a.nii")


def test_a_file_called_gz_that_is_none_is_refused(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(nibabel.Nifti1Image(voxels(), np.eye(4)).to_bytes())
    with pytest.raises(UserError, match=r"a\.nii\.gz is truncated or damaged"):
        read_volume(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_missing_files_and_folders_are_named(tmp_path, suffix):
    with pytest.raises(UserError, match=r"no such file: .*gone"):
        read_volume(tmp_path / f"gone{suffix}")
    (tmp_path / f"folder{suffix}").mkdir()
    with pytest.raises(UserError, match=f"folder{suffix}"):
        read_volume(tmp_path / f"folder{suffix}")


def test_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"a\.dcm is no volume: expected a name that ends with \.nii\.gz, \.nii, \.mha"):
        read_volume(tmp_path / "a.dcm")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinite_voxels_are_counted(tmp_path, bad):
    data = voxels(np.float32)
    data[1, 2, 3] = data[4, 4, 4] = bad
    with pytest.raises(UserError, match=r"a\.nii has 2 NaN or infinite voxels of 504"):
        read_volume(save(tmp_path / "a.nii", data))


def test_complex_voxels_are_refused(tmp_path):
    with pytest.raises(UserError, match="complex64 voxels"):
        read_volume(save(tmp_path / "a.nii", voxels(np.complex64)))


def test_an_affine_that_maps_to_no_volume_is_refused(tmp_path):
    flat = np.diag([1.0, 1.0, 0.0, 1.0])
    image = nibabel.Nifti1Image(voxels(), np.eye(4))
    image.header["srow_z"] = flat[2]
    image.header["sform_code"] = 1
    path = tmp_path / "a.nii"
    content = bytearray(image.header.binaryblock + bytes(4) + voxels().tobytes("F"))
    content[108:112] = struct.pack("<f", 352)  # vox_offset
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.nii has an affine that maps to no volume"):
        read_volume(path)


# ---- the volumes of one visit ---------------------------------------------------------------------------------------


def test_volumes_of_a_visit_agree_across_stored_orientations(tmp_path):
    first = read_volume(save(tmp_path / "t1.nii", voxels(), affine_of("LPS")))
    write_volume(tmp_path / "t2.nii", first.data, first.geometry, np.float32)
    canonical = Geometry(first.data.shape, first.affine, "RAS")
    write_volume(tmp_path / "flair.nii.gz", first.data, canonical, np.uint8)
    sources = {"t1": str(tmp_path / "t1.nii"), "t2": str(tmp_path / "t2.nii"), "flair": str(tmp_path / "flair.nii.gz")}
    volumes = read_volumes(sources)
    assert list(volumes) == list(sources)
    for volume in volumes.values():
        np.testing.assert_array_equal(volume.data, first.data)


def test_a_4d_file_is_decoded_once_for_all_its_channels(tmp_path):
    data = voxels(shape=(*SHAPE, 4))
    source = save(tmp_path / "a.nii.gz", data)
    volumes = read_volumes({"flair": f"{source}#0", "t1": f"{source}#1", "t2": f"{source}#3"})
    np.testing.assert_array_equal(volumes["t2"].data, data[..., 3])
    assert len({id(_buffer(volume.data)) for volume in volumes.values()}) == 1


def test_different_shapes_name_both_files(tmp_path):
    sources = {"t1": save(tmp_path / "a.nii", voxels()), "t2": save(tmp_path / "b.nii", voxels(shape=(8, 9, 6)))}
    with pytest.raises(UserError, match=r"shapes differ: .*a\.nii is 8 x 9 x 7 and .*b\.nii is 8 x 9 x 6"):
        read_volumes(sources)


def test_different_affines_name_both_files_and_the_distance(tmp_path):
    moved = np.eye(4)
    moved[2, 3] = 3
    sources = {"t1": save(tmp_path / "a.nii", voxels()), "t2": save(tmp_path / "b.nii", voxels(), moved)}
    with pytest.raises(UserError, match=r"affines differ: corners of .*a\.nii and .*b\.nii lie up to 3 mm apart"):
        read_volumes(sources)


@pytest.mark.parametrize(("degrees", "same"), [(0.0, True), (0.3, True), (1.5, False)])
def test_small_rotations_count_by_what_they_do_at_the_corners(tmp_path, degrees, same):
    # 1.5 degrees move the corner at 8 mm by 0.2 mm, 0.3 degrees by 0.04 mm
    turned = np.eye(4)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turned[:2, :2] = [[c, -s], [s, c]]
    first = read_volume(save(tmp_path / "a.nii", voxels()))
    second = read_volume(save(tmp_path / "b.nii", voxels(), turned))
    assert (disagreement(first, second) is None) == same


def test_read_each_puts_errors_in_their_places(tmp_path):
    (tmp_path / "b.nii").write_bytes(b"")
    sources = {"t1": save(tmp_path / "a.nii", voxels()), "t2": str(tmp_path / "b.nii"), "flair": "c.png"}
    results = read_each(sources)
    assert results["t1"].data.shape == SHAPE
    assert isinstance(results["t2"], UserError)
    assert isinstance(results["flair"], UserError)
