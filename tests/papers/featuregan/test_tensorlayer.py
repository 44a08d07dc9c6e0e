"""Checkpoints of TensorLayer 1.x: read from every NumPy, written for it, hostile and damaged ones refused."""

import io
import os
import pickle
import zipfile

import keras
import numpy as np
import pytest
from params_files import HEADER, NARROW, as_numpy_1, check_equal, objects, python_2, random_arrays, write

from kerasgan.errors import UserError
from kerasgan.papers.featuregan.tensorlayer import (
    from_keras,
    layer_shapes,
    read_checkpoint,
    to_keras,
    write_checkpoint,
)
from kerasgan.papers.featuregan.unet import unet

# ---- what is read ----


def test_the_order_of_the_file_is_the_digests():
    names = (
        "conv1_1 conv1_2 conv2_1 conv2_2 conv3_1 conv3_2 conv4_1 conv4_2 conv5_1 conv5_2 deconv4 uconv4_1 uconv4_2 "
        "deconv3 uconv3_1 uconv3_2 deconv2 uconv2_1 uconv2_2 deconv1 uconv1_1 uconv1_2 uconv1"
    )
    shapes = layer_shapes(4)
    assert list(shapes) == names.split()
    assert shapes["conv1_1"] == ((3, 3, 4, 64), (64,))
    assert shapes["deconv4"] == ((3, 3, 512, 1024), (512,))
    assert shapes["uconv4_1"] == ((3, 3, 1024, 512), (512,))
    assert shapes["uconv1"] == ((1, 1, 64, 1), (1,))
    assert sum(int(np.prod(shape)) for pair in shapes.values() for shape in pair) == 34_513_921


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_files_of_this_numpy_are_read(tmp_path, save):
    arrays = random_arrays()
    save(tmp_path / "unet.npz", params=objects(arrays))
    check_equal(read_checkpoint(tmp_path / "unet.npz", NARROW), arrays)


@pytest.mark.parametrize("protocol", [2, 3, 4])  # 2: NumPy before 1.16, whose bytes are escaped text
def test_files_of_numpy_1_are_read(tmp_path, protocol):
    arrays = random_arrays()
    stream = as_numpy_1(pickle.dumps(objects(arrays), protocol))
    assert protocol != 2 or b"_codecs\nencode" in stream
    check_equal(read_checkpoint(write(tmp_path / "unet.npz", stream), NARROW), arrays)


def test_files_of_python_2_are_read(tmp_path):
    arrays = random_arrays()
    stream = python_2(objects(arrays))
    assert b"_codecs" not in stream and stream[:2] == pickle.PROTO + b"\x02"
    npy = io.BytesIO()
    np.lib.format.write_array_header_1_0(npy, HEADER)
    header = npy.getvalue().replace(b"(46,), }  ", b"(46L,), } ")
    assert b"46L" in header
    with zipfile.ZipFile(tmp_path / "unet.npz", "w") as archive:
        archive.writestr("params.npy", header + stream)
    check_equal(read_checkpoint(tmp_path / "unet.npz", NARROW), arrays)


def test_other_layouts_and_types_of_numbers_are_read(tmp_path):
    arrays = random_arrays()
    others = [np.asfortranarray(arrays[0]), arrays[1].astype(">f4"), arrays[2].astype(np.float64), *arrays[3:]]
    np.savez(tmp_path / "unet.npz", params=objects(others))
    check_equal(read_checkpoint(tmp_path / "unet.npz", NARROW), arrays)


# ---- what is written ----


@pytest.mark.parametrize("channels", [1, 4])
def test_network_to_file_to_network_is_equal(tmp_path, channels):
    first, second = unet((16, 16), channels, NARROW), unet((16, 16), channels, NARROW)
    to_keras(random_arrays(channels), first)
    write_checkpoint(from_keras(first), tmp_path / "unet.npz")
    to_keras(read_checkpoint(tmp_path / "unet.npz", NARROW), second)
    check_equal(from_keras(second), random_arrays(channels))


def test_a_written_file_is_what_numpy_1_reads(tmp_path):
    write_checkpoint(random_arrays(), tmp_path / "unet.npz")
    with np.load(tmp_path / "unet.npz", allow_pickle=True) as file:
        assert file.files == ["params"] and file["params"].dtype == object
        check_equal(list(file["params"]), random_arrays())
    with zipfile.ZipFile(tmp_path / "unet.npz") as archive:
        content = archive.read("params.npy")
    assert b"numpy._core" not in content and b"numpy.core.multiarray" in content
    assert content[128:130] == pickle.PROTO + b"\x03"
    assert os.listdir(tmp_path) == ["unet.npz"]


def test_the_same_arrays_give_the_same_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        write_checkpoint(random_arrays(), tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


# ---- the first convolution ----


def first_maps(arrays, image, first_channels="keep"):
    network = unet((16, 16), image.shape[-1], NARROW)
    to_keras(arrays, network, first_channels)
    return keras.Model(network.input, network.get_layer("conv1_1").output)(image).numpy()


@pytest.mark.parametrize(
    ("first_channels", "parts"),
    [("keep", (1, 0, 0, 0)), ("mean", (0.25, 0.25, 0.25, 0.25)), ("repeat", (1, 1, 1, 1))],
)
def test_first_channels_are_what_the_wide_network_makes_of_flair(first_channels, parts):
    flair = np.random.default_rng(4).normal(size=(2, 16, 16, 1)).astype(np.float32)
    expected = first_maps(random_arrays(), flair * np.array(parts, np.float32))
    found = first_maps(random_arrays(), flair, first_channels)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert found.std() > 0.1


def test_every_other_layer_is_kept():
    network = unet((16, 16), 1, NARROW)
    to_keras(random_arrays(), network, "mean")
    check_equal([random_arrays()[0], *from_keras(network)[1:]], random_arrays())


def test_an_unknown_mapping_is_named():
    with pytest.raises(UserError, match="unknown first_channels 'men'; did you mean 'mean'"):
        to_keras(random_arrays(), unet((16, 16), 1, NARROW), "men")


@pytest.mark.parametrize(("channels", "filters"), [(4, NARROW), (1, (3, 5, 4, 6, 8))])
def test_arrays_of_another_network_are_refused_whole(channels, filters):
    network = unet((16, 16), channels, filters)
    before = from_keras(network)
    with pytest.raises(UserError, match=r"weights of conv(1_1|5_1) have shape"):
        to_keras(random_arrays(1), network)
    check_equal(from_keras(network), before)


# ---- what does not fit ----


def swapped(arrays, one, other):
    arrays[one], arrays[other] = arrays[other], arrays[one]
    return arrays


WRONG = {
    "the last is missing": (
        lambda a: a[:-1],
        r"45 arrays, not 46; .* number 46, biases of uconv1: expected \(1,\), came nothing",
    ),
    "one is missing": (
        lambda a: a[:7] + a[8:],
        r"45 arrays, not 46; .* number 8, biases of conv2_2: expected \(5,\), came \(3, 3, 5, 4\)",
    ),
    "one too many": (
        lambda a: [*a, a[-1]],
        r"47 arrays, .* number 47, beyond the last layer: expected nothing, came \(1,\)",
    ),
    "none": (lambda a: [], r"0 arrays, not 46; .* number 1, weights of conv1_1"),
    "a wrong shape": (
        lambda a: [*a[:20], a[20].transpose(0, 1, 3, 2), *a[21:]],
        r"another network; .* number 21, weights of deconv4: expected \(3, 3, 6, 7\), came \(3, 3, 7, 6\)",
    ),
    "two outputs": (
        lambda a: [*a[:44], np.zeros((1, 1, 3, 2)), np.zeros(2)],
        r"weights of uconv1: expected \(1, 1, 3, 1\), came \(1, 1, 3, 2\)",
    ),
    "three channels": (
        lambda a: [a[0][:, :, :3], *a[1:]],
        r"number 1, weights of conv1_1: expected \(3, 3, 4, 3\), came \(3, 3, 3, 3\)",
    ),
    "biases first": (lambda a: swapped(a, 4, 5), r"in another order, from number 5 on, weights of conv2_1"),
    "not an array": (lambda a: [*a[:3], 7.0, *a[4:]], r"number 4, biases of conv1_2: expected \(3,\), came no array"),
    "whole numbers": (
        lambda a: [*a[:2], a[2].astype(np.int64), *a[3:]],
        r"weights of conv1_2 are of type 'i8'; expected floating-point",
    ),
    "not finite": (lambda a: [*a[:5], np.full_like(a[5], np.nan), *a[6:]], "biases of conv2_1 are not all finite"),
    "arrays of arrays": (
        lambda a: [*a[:1], objects([a[1], a[1], a[1]]), *a[2:]],
        "biases of conv1_1 are of type 'O8'; expected floating-point",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_arrays_that_do_not_fit_are_named(tmp_path, case):
    change, message = WRONG[case]
    write(tmp_path / "unet.npz", pickle.dumps(objects(change(random_arrays())), 4))
    with pytest.raises(UserError, match=message) as error:
        read_checkpoint(tmp_path / "unet.npz", NARROW)
    assert str(error.value).startswith(str(tmp_path / "unet.npz"))


def test_the_published_shapes_are_expected_by_default(tmp_path):
    write_checkpoint(random_arrays(), tmp_path / "unet.npz")
    with pytest.raises(UserError, match=r"conv1_1: expected \(3, 3, 4, 64\), came \(3, 3, 4, 3\)"):
        read_checkpoint(tmp_path / "unet.npz")


def test_other_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        read_checkpoint(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("conv1_1")
    with pytest.raises(UserError, match="not a whole npz file"):
        read_checkpoint(tmp_path / "text.npz")
    np.savez(tmp_path / "keys.npz", conv1_1=np.zeros(3))
    with pytest.raises(UserError, match=r"has the keys \['conv1_1'\]; expected `params`"):
        read_checkpoint(tmp_path / "keys.npz")
    np.savez(tmp_path / "numbers.npz", params=np.zeros((46, 3)))
    with pytest.raises(UserError, match="`params` is one array of float64"):
        read_checkpoint(tmp_path / "numbers.npz")


# ---- damage ----


def test_a_file_cut_anywhere_is_refused(tmp_path):
    np.savez(tmp_path / "whole.npz", params=objects(random_arrays()))
    whole = (tmp_path / "whole.npz").read_bytes()
    for length in range(0, len(whole), 997):
        (tmp_path / "cut.npz").write_bytes(whole[:length])
        with pytest.raises(UserError, match="not a whole npz file"):
            read_checkpoint(tmp_path / "cut.npz", NARROW)


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_cut_or_changed_anywhere_is_read_or_refused(tmp_path, protocol):
    stream, rng = pickle.dumps(objects(random_arrays()), protocol), np.random.default_rng(1)
    for place in rng.integers(0, len(stream), 60):
        with pytest.raises(UserError):
            read_checkpoint(write(tmp_path / "cut.npz", stream[:place]), NARROW)
    for place in rng.integers(0, 2000, 200):  # where there are more words than numbers
        changed = stream[:place] + bytes([rng.integers(256)]) + stream[place + 1 :]
        try:
            arrays = read_checkpoint(write(tmp_path / "changed.npz", changed), NARROW)
            assert [a.shape for a in arrays] == [a.shape for a in random_arrays()]
        except UserError:
            pass


def test_a_changed_byte_is_found_by_the_checksum(tmp_path):
    write_checkpoint(random_arrays(), tmp_path / "unet.npz")
    content = bytearray((tmp_path / "unet.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "unet.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"not a whole npz file \(Bad CRC-32"):
        read_checkpoint(tmp_path / "unet.npz", NARROW)
