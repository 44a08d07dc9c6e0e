"""Checkpoints of TensorLayer 1.x, as `tl.files.save_npz` writes the weights of u-net-brain-tumor.

The file is an npz whose one key, `params`, is an object array of 46 arrays: weights and biases of each layer in the
order of `layer_shapes`, in the layouts that Keras uses. An object array is a pickle, by which a file could run any
program: here it is read with stand-ins for NumPy's classes, so that nothing but names, numbers and bytes is made of it.
"""

import io
import pickle
import pickletools
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from keras import Model

from kerasgan.errors import UserError, nearest
from kerasgan.files import written_aside
from kerasgan.papers.featuregan.unet import FILTERS, KERNEL, LOGITS

MEMBER = "params.npy"
MOST_BYTES = 2**29  # unpacked; the published network's are 138 MB, 276 MB in float64, and half as much again if escaped
MOST_STEPS = 10_000  # of a pickle, and references within it; a checkpoint takes about 1500 steps
FLOATS = ("f2", "f4", "f8")
FIRST_CHANNELS = ("keep", "mean", "repeat")

Shape = tuple[int, ...]


def layer_shapes(channels: int, filters: Sequence[int] = FILTERS) -> dict[str, tuple[Shape, Shape]]:
    """Shapes of weights and biases by layer, in the order of the file.

    Weights are (height, width, in, out), of the transposed convolutions (height, width, out, in).
    """
    square, shapes, entering = (KERNEL, KERNEL), {}, channels
    for level, count in enumerate(filters, 1):
        shapes[f"conv{level}_1"] = ((*square, entering, count), (count,))
        shapes[f"conv{level}_2"] = ((*square, count, count), (count,))
        entering = count
    for level in range(len(filters) - 1, 0, -1):
        count = filters[level - 1]
        shapes[f"deconv{level}"] = ((*square, count, filters[level]), (count,))
        shapes[f"uconv{level}_1"] = ((*square, 2 * count, count), (count,))
        shapes[f"uconv{level}_2"] = ((*square, count, count), (count,))
    shapes[LOGITS] = ((1, 1, filters[0], 1), (1,))
    return shapes


# ---- between arrays and a network ----


def to_keras(
    arrays: Sequence[np.ndarray], network: Model, first_channels: Literal["keep", "mean", "repeat"] = "keep"
) -> None:
    """Give a network of `unet` the 46 arrays of a checkpoint, all of them or none.

    `first_channels` says what the first convolution of a 1-channel network is made of when the checkpoint is of 4
    channels (flair, t1, t1ce, t2), and is without effect where both have as many:
        "keep"    FLAIR's slice: what the 4-channel network makes of FLAIR with the other three at 0, their mean;
        "mean"    the mean of the slices: what it makes of a quarter of the image in all four channels;
        "repeat"  the sum of the slices: what it makes of the image repeated in all four channels.

    Raises:
        UserError: another word, or arrays that do not fit the network, whose first such layer is named.
    """
    if first_channels not in FIRST_CHANNELS:
        raise UserError(f"unknown first_channels {first_channels!r}; {nearest(first_channels, FIRST_CHANNELS)}")
    fitting = []
    for name, weights, biases in zip(layer_shapes(1), arrays[::2], arrays[1::2], strict=True):
        layer = network.get_layer(name)
        wanted = tuple(layer.kernel.shape)
        if name == "conv1_1" and (weights.shape[2], wanted[2]) == (4, 1):
            weights = _one_channel(weights, first_channels)
        if (weights.shape, biases.shape) != (wanted, tuple(layer.bias.shape)):
            raise UserError(
                f"weights of {name} have shape {weights.shape} in the checkpoint and {wanted} in the network; expected "
                "a network as wide as the checkpoint's, with as many channels or with 1 where the checkpoint has 4"
            )
        fitting.append((layer, [weights, biases]))
    for layer, pair in fitting:
        layer.set_weights(pair)


def from_keras(network: Model) -> list[np.ndarray]:
    """The 46 float32 arrays of a network of `unet` in the order of the file."""
    layers = [network.get_layer(name) for name in layer_shapes(1)]
    return [np.asarray(array, np.float32) for layer in layers for array in layer.get_weights()]


def _one_channel(weights: np.ndarray, how: str) -> np.ndarray:
    if how == "keep":
        return weights[:, :, :1]
    return weights.mean(axis=2, keepdims=True) if how == "mean" else weights.sum(axis=2, keepdims=True)


# ---- between arrays and a file ----


def write_checkpoint(arrays: Sequence[np.ndarray], path: Path) -> None:
    """Write arrays in the order of `layer_shapes` as TensorLayer 1.x reads them under Python 3, with NumPy 1 or 2.

    The same arrays give the same bytes.
    """
    params = np.empty(len(arrays), object)
    for number, array in enumerate(arrays):
        params[number] = np.ascontiguousarray(array, np.float32)
    # NumPy 2 names a module that NumPy 1 lacks; both know the old name.
    stream = pickle.dumps(params, protocol=3).replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n", 1)
    header = {"descr": "|O", "fortran_order": False, "shape": params.shape}
    with (
        written_aside(path) as aside,
        zipfile.ZipFile(aside, "w") as archive,
        archive.open(zipfile.ZipInfo(MEMBER), "w") as member,
    ):
        np.lib.format.write_array_header_1_0(member, header)
        member.write(stream)


def read_checkpoint(path: Path, filters: Sequence[int] = FILTERS) -> list[np.ndarray]:
    """The 46 arrays of a checkpoint of 4 channels or of 1, float32, checked one by one.

    Files of every NumPy and of Python 2 and 3 are read. Layers of equal shapes that changed places (conv4_2 and
    uconv4_2, say) cannot be told.

    Args:
        path: an npz as of `tl.files.save_npz`.
        filters: of the five levels.

    Raises:
        UserError: no such file, no npz or a damaged one, no key `params`, a file of more than 512 MiB unpacked, a
            pickle of anything but NumPy arrays, another number of arrays, an array of another shape or type or with
            numbers that are not finite; the first layer that does not fit is named.
    """
    with _member(path) as member:
        params = _unpickled(path, member)
    found = params.content if isinstance(params, _Array) and isinstance(params.content, list) else []
    shapes = [each.shape if isinstance(each, _Array) else None for each in found]
    channels = 1 if shapes[:1] == [layer_shapes(1, filters)["conv1_1"][0]] else 4
    expected = {
        f"{part} of {name}": shape
        for name, pair in layer_shapes(channels, filters).items()
        for part, shape in zip(("weights", "biases"), pair, strict=True)
    }
    _check_shapes(path, shapes, expected)
    return [_numbers(path, name, each) for name, each in zip(expected, found, strict=True)]


def _check_shapes(path: Path, found: list[Shape | None], expected: dict[str, Shape]) -> None:
    """Every shape in its place, else a UserError that names the first which is not."""
    if found == list(expected.values()):
        return
    places = enumerate(expected.items())
    misfit = ((n, each) for n, each in places if found[n : n + 1] != [each[1]])
    count = len(expected)
    place, (name, shape) = next(misfit, (count, ("beyond the last layer", "nothing")))
    if len(found) != count:
        problem = f"{path} holds {len(found)} arrays, not {count}; the first that does not fit is number {place + 1}"
    elif sorted(map(str, found)) == sorted(map(str, expected.values())):
        problem = f"{path} holds the network's arrays in another order, from number {place + 1} on"
    else:
        problem = f"{path} holds the arrays of another network; the first that does not fit is number {place + 1}"
    came = "nothing" if place >= len(found) else "no array" if found[place] is None else found[place]
    raise UserError(
        f"{problem}, {name}: expected {shape}, came {came}; give the checkpoint of u-net-brain-tumor with one output, "
        f"weights and biases of each layer from conv1_1 to {LOGITS}"
    )


def _member(path: Path) -> BinaryIO:
    """The content of `params.npy`, unpacked."""
    if not path.is_file():
        raise UserError(f"there is no file {path}; expected a checkpoint (.npz) of TensorLayer 1.x")
    try:
        with zipfile.ZipFile(path) as archive:
            if MEMBER not in archive.namelist():
                keys = [name.removesuffix(".npy") for name in archive.namelist()[:5]]
                raise UserError(f"{path} has the keys {keys}; expected `params`, as tl.files.save_npz writes it")
            info = archive.getinfo(MEMBER)
            # Of the other kinds of compression zipfile unpacks whole blocks, however large.
            if info.file_size > MOST_BYTES or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise UserError(
                    f"{path}: `params` has {info.file_size} bytes unpacked and compression {info.compress_type}; "
                    f"expected at most {MOST_BYTES}, stored or deflated: this is no checkpoint of the U-Net"
                )
            return io.BytesIO(archive.read(info))
    except UserError:
        raise
    except Exception as error:  # zipfile meets damage with errors of many kinds
        raise UserError(f"{path} is not a whole npz file ({_reason(error)}); download or copy it again") from None


def _numbers(path: Path, name: str, array: "_Array") -> np.ndarray:
    """The array that a stand-in describes, its shape having been checked."""
    code = array.dtype.code
    if code not in FLOATS:
        raise UserError(
            f"{path}: {name} are of type {code[:20]!r}; expected floating-point numbers: {', '.join(FLOATS)}"
        )
    kind = np.dtype(f">{code}" if array.dtype.order == ">" else f"<{code}")
    if not isinstance(array.content, bytes) or len(array.content) != np.prod(array.shape) * kind.itemsize:
        raise UserError(f"{path}: {name} are not whole; download or copy the file again")
    order = "F" if array.fortran else "C"
    numbers = np.frombuffer(array.content, kind).reshape(array.shape, order=order).astype(np.float32, order="C")
    if not np.isfinite(numbers).all():
        raise UserError(f"{path}: {name} are not all finite; the training that wrote it diverged, give an earlier one")
    return numbers


# ---- the pickle ----


class _Dtype:
    """Stands for `numpy.dtype`."""

    def __init__(self, code: str, *_):
        self.code, self.order = _of_type(code, str), "<"

    def __setstate__(self, state: tuple):
        self.order = _of_type(state[1], str)


class _Array:
    """Stands for `numpy.ndarray`: bytes, or a list of objects, with what is needed to read them."""

    shape: Shape | None = None
    content: bytes | list | None = None

    def __setstate__(self, state: tuple):
        _, shape, dtype, fortran, content = state
        self.dtype, self.fortran = _of_type(dtype, _Dtype), _of_type(fortran, (bool, int))
        # Python 2 wrote bytes as text.
        self.content = content.encode("latin1") if isinstance(content, str) else _of_type(content, (bytes, list))
        self.shape = tuple(_of_type(side, int) for side in shape[:8])
        if not all(0 <= side <= MOST_BYTES for side in self.shape):
            raise pickle.UnpicklingError("an array is larger than the file may be")


def _of_type(value: object, kind: type | tuple[type, ...]):
    if not isinstance(value, kind):
        raise pickle.UnpicklingError("an array is described in a way that NumPy does not know")
    return value


class _Unpickler(pickle.Unpickler):
    """Knows the four names that pickled arrays have, and gives none of the objects that bear them."""

    def find_class(self, module: str, name: str):
        known = {
            "numpy.core.multiarray._reconstruct": self._reconstruct,
            "numpy._core.multiarray._reconstruct": self._reconstruct,  # NumPy 2
            "numpy.ndarray": _Array,
            "numpy.dtype": _Dtype,
            "_codecs.encode": self._bytes,  # how Python 3 writes bytes for Python 2: NumPy before 1.16
        }
        if f"{module}.{name}" not in known:
            raise pickle.UnpicklingError(f"it asks for {f'{module}.{name}'[:60]!r}")
        return known[f"{module}.{name}"]

    def _reconstruct(self, kind: type, shape: tuple, code: bytes) -> _Array:
        return _Array()

    def _bytes(self, text: str, encoding: str) -> bytes:
        return text.encode("latin1")


def _unpickled(path: Path, member: BinaryIO) -> object:
    """The object in an npy file, made of stand-ins."""
    try:
        with warnings.catch_warnings(action="ignore"):  # the header of a file of Python 2
            _, _, dtype = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[np.lib.format.read_magic(member)](member)
        if not dtype.hasobject:
            raise pickle.UnpicklingError(f"`params` is one array of {dtype}, not a list of arrays")
        _check_steps(member)
        return _Unpickler(member, encoding="latin1").load()
    except Exception as error:  # a pickle of nonsense raises nearly anything
        raise UserError(
            f"{path} is no checkpoint of TensorLayer ({_reason(error)}); expected NumPy arrays and nothing else, as "
            "tl.files.save_npz writes them; get the file from where it was published"
        ) from None


def _check_steps(stream: BinaryIO) -> None:
    """Refuse a short pickle that would fill the memory: by many objects, or a table as long as its highest number."""
    start = stream.tell()
    for step, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if step > MOST_STEPS or (opcode.name in ("PUT", "LONG_BINPUT") and argument > MOST_STEPS):
            raise pickle.UnpicklingError("it is longer than any list of the network's arrays")
    stream.seek(start)


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
