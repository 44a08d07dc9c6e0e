"""Files of U-Net parameters as TensorLayer writes them: npz archives with a pickle."""

import io
import pickle
import struct
import zipfile

import numpy as np

from kerasgan.papers.featuregan.tensorlayer import (
    layer_shapes,
)

NARROW = (3, 5, 4, 6, 7)
HEADER = {"descr": "|O", "fortran_order": False, "shape": (46,)}


def random_arrays(channels=4, filters=NARROW, seed=0):
    rng = np.random.default_rng(seed)
    shapes = [shape for pair in layer_shapes(channels, filters).values() for shape in pair]
    return [rng.normal(0, 0.3, shape).astype(np.float32) for shape in shapes]


def objects(arrays):
    params = np.empty(len(arrays), object)
    for number, array in enumerate(arrays):
        params[number] = array
    return params


def write(path, stream, header=HEADER, member="params.npy", compression=zipfile.ZIP_STORED):
    """An npz with any pickle in it."""
    npy = io.BytesIO()
    np.lib.format.write_array_header_1_0(npy, header)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(member, npy.getvalue() + stream)
    return path


def as_numpy_1(stream):
    return stream.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n", 1)


class Python2(pickle._Pickler):
    """Writes bytes and text as Python 2 did, as strings without encoding."""

    def string(self, value):
        raw = value if isinstance(value, bytes) else value.encode("ascii")
        self.write(b"U" + bytes([len(raw)]) + raw if len(raw) < 256 else b"T" + struct.pack("<i", len(raw)) + raw)
        self.memoize(value)

    dispatch = pickle._Pickler.dispatch | {bytes: string, str: string}


def python_2(params):
    stream = io.BytesIO()
    Python2(stream, 2).dump(params)
    return as_numpy_1(stream.getvalue())


def check_equal(found, expected):
    assert len(found) == len(expected) == 46
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == np.float32 and one.flags.c_contiguous
        np.testing.assert_array_equal(one, other)
