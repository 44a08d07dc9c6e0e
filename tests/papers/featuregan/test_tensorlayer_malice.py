"""Pickles that would do something, or take all memory, are refused."""

import builtins
import codecs
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from params_files import NARROW, objects, random_arrays, write

from kerasgan.errors import UserError
from kerasgan.papers.featuregan import tensorlayer
from kerasgan.papers.featuregan.tensorlayer import (
    layer_shapes,
    read_checkpoint,
)


class Call:
    """Pickled as a call, which unpickling makes."""

    def __init__(self, function, *arguments):
        self.called = function, arguments

    def __reduce__(self):
        return self.called


def calls(folder):
    mark = str(folder / "run")
    write_it = f"open({mark!r}, 'w')"
    return {
        "os.system": Call(os.system, f"touch {mark}"),
        "builtins.eval": Call(builtins.eval, write_it),
        "builtins.exec": Call(builtins.exec, write_it),
        "builtins.open": Call(builtins.open, mark, "w"),
        "builtins.getattr": Call(builtins.getattr, dict, "get"),
        "numpy.load": Call(np.load, mark, None, True),
        "numpy.fromfile": Call(np.fromfile, mark),
        "numpy.testing.runstring": Call(np.testing.runstring, write_it, {}),
        "numpy.memmap": Call(np.memmap, mark, "uint8", "w+", 0, (4,)),
        "pickle.loads": Call(pickle.loads, pickle.dumps(Call(os.system, f"touch {mark}"))),
        "codecs.open": Call(codecs.open, mark, "w"),
        "scalar": np.float64(1.0),
    }


NAMES = list(calls(Path()))


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("where", ["instead", "within"])
@pytest.mark.parametrize("name", NAMES)
def test_a_pickle_that_calls_anything_is_refused_and_not_run(tmp_path, name, where, protocol):
    call = calls(tmp_path)[name]
    content = call if where == "instead" else objects([*random_arrays()[:-1], call])
    write(tmp_path / "unet.npz", pickle.dumps(content, protocol))
    with pytest.raises(UserError, match=r"no checkpoint of TensorLayer \(it asks for '"):
        read_checkpoint(tmp_path / "unet.npz", NARROW)
    assert os.listdir(tmp_path) == ["unet.npz"]


def test_the_calls_would_run_otherwise(tmp_path):
    pickle.loads(pickle.dumps(calls(tmp_path)["os.system"]))
    assert (tmp_path / "run").exists()


# By hand: protocol 2; c = global, ( t = tuple, R = call, b = set state, } = dict, K = number below 256, . = end.
ARRAY = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
CRAFTED = {
    "an attribute of an admitted module": b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.dump\x93.",
    "the same through a submodule": b"\x80\x04\x8c\x05numpy\x8c\x0ef2py.os.system\x93.",
    "a method of a stand-in": b"\x80\x04\x8c\x05numpy\x8c\x14ndarray.__subclasses__\x93.",
    "an extension's code": b"\x80\x02\x82\x01.",
    "a persistent name": b"\x80\x02Pos.system\n.",
    "a class of the standard library": b"\x80\x02(ios\nsystem\n.",
    "an array never described": ARRAY + b".",
    "an array described by one number": ARRAY + b"K\x01b.",
    "an array whose elements are itself": ARRAY
    + b"q\x00(K\x01K\x01\x85cnumpy\ndtype\nX\x02\x00\x00\x00O8\x85R\x89]h\x00atb.",
    "a type that is no text": b"\x80\x02cnumpy\ndtype\nK\x01\x85R.",
    "the state of a class": b"\x80\x02cnumpy\nndarray\n}b.",
    "the state of a function": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nN}X\x08\x00\x00\x00__code__K\x01s\x86b.",
    "nothing": b"",
    "a word": b"\x80\x02X\x02\x00\x00\x00os.",
}


@pytest.mark.parametrize("case", CRAFTED)
def test_crafted_pickles_are_refused(tmp_path, case):
    with pytest.raises(UserError, match=r"no checkpoint of TensorLayer|holds [01] arrays, not 46"):
        read_checkpoint(write(tmp_path / "unet.npz", CRAFTED[case]), NARROW)


def described(shape, code, content, order="<", flags=None):
    """A pickle of 46 arrays of which the first is described by hand."""

    class Dtype:
        def __reduce__(self):
            state = (
                (3, order, None, None, None, -1, -1, 0) if flags is None else (3, order, None, None, None, 8, 8, flags)
            )
            return np.dtype, (code, False, True), state

    class Array:
        def __reduce__(self):
            # A callable that pickles by name, as NumPy's own.
            return np.empty(0).__reduce__()[0], (np.ndarray, (0,), b"b"), (1, shape, Dtype(), False, content)

    return pickle.dumps(objects([Array(), *random_arrays()[1:]]), 4)


FIRST = (3, 3, 4, 3)
TRICKS = {
    "objects from bytes": ((FIRST, "O8", b"\x41" * 8 * 108), "type 'O8'"),
    "objects from bytes, as a void with flags": ((FIRST, "V8", b"\x41" * 8 * 108, "|", 63), "type 'V8'"),
    "fields": ((FIRST, "f4,O", b"\x41" * 12 * 108), "type 'f4,O'"),
    "a long type": ((FIRST, "f4," * 100_000, b""), "type 'f4,f4,f4,f4,f4,f4,f4'"),
    "too few bytes": ((FIRST, "f4", b"\x00" * 4 * 107), "weights of conv1_1 are not whole"),
    "too many bytes": ((FIRST, "f4", b"\x00" * 4 * 109), "weights of conv1_1 are not whole"),
    "a list for bytes": ((FIRST, "f4", [0.0] * 108), "weights of conv1_1 are not whole"),
    "text for bytes": ((FIRST, "f4", "\u4e00" * 432), "no checkpoint of TensorLayer"),
    "a shape beyond memory": (((2**20, 2**20), "f4", b""), "weights of conv1_1: expected"),
    "a shape beyond writing": (((1 << 20_000, 3), "f4", b""), "no checkpoint of TensorLayer"),
    "a negative shape": (((-3, -3, 4, 3), "f4", b"\x00" * 432), "no checkpoint of TensorLayer"),
    "a shape of fractions": (((3.0, 3.0, 4.0, 3.0), "f4", b"\x00" * 432), "no checkpoint of TensorLayer"),
}


@pytest.mark.parametrize("case", TRICKS)
def test_tricks_with_types_and_shapes_are_refused(tmp_path, case):
    arguments, message = TRICKS[case]
    with pytest.raises(UserError, match=message) as error:
        read_checkpoint(write(tmp_path / "unet.npz", described(*arguments)), NARROW)
    assert len(str(error.value)) < 600


def test_an_array_described_by_hand_is_read(tmp_path):
    values = np.arange(108, dtype=">f4").reshape(FIRST)
    stream = described(FIRST, "f4", values.tobytes(), ">")
    np.testing.assert_array_equal(read_checkpoint(write(tmp_path / "unet.npz", stream), NARROW)[0], values)


def test_short_files_that_would_fill_the_memory_are_refused(tmp_path):
    table = b"\x80\x02Nr" + struct.pack("<I", 2**32 - 1) + b"."  # a reference with the highest number
    length = b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"."  # bytes of which there are none
    objects_ = b"\x80\x02" + b"]" * 1_000_000 + b"."
    for stream in (table, length, objects_):
        with pytest.raises(UserError, match="no checkpoint of TensorLayer"):
            read_checkpoint(write(tmp_path / "unet.npz", stream, compression=zipfile.ZIP_DEFLATED), NARROW)


def test_a_zip_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(tensorlayer, "MOST_BYTES", 10_000)
    write(tmp_path / "bomb.npz", bytes(20_000), compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match=r"has 20128 bytes unpacked .* at most 10000"):
        read_checkpoint(tmp_path / "bomb.npz")
    # The size that the archive's table states is a lie: no more than it says is unpacked.
    content = (tmp_path / "bomb.npz").read_bytes().replace(struct.pack("<I", 20_128), struct.pack("<I", 200))
    (tmp_path / "bomb.npz").write_bytes(content)
    with pytest.raises(UserError):
        read_checkpoint(tmp_path / "bomb.npz")
    write(tmp_path / "bzip2.npz", b"", compression=zipfile.ZIP_BZIP2)
    with pytest.raises(UserError, match="compression 12"):
        read_checkpoint(tmp_path / "bzip2.npz")


def test_the_bound_admits_the_published_network():
    numbers = sum(int(np.prod(shape)) for pair in layer_shapes(4).values() for shape in pair)
    assert 8 * numbers * 1.5 < tensorlayer.MOST_BYTES < 16 * numbers
