"""TFRecord shards of prepared slices: one shard per visit, one record per slice.

Images are stored as uint16, 0 for -1 and 65535 for 1 (a step of 3e-5): half of float32, and no information of a
12-bit scanner is lost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerasgan.data.modalities import MODALITIES
from kerasgan.files import written_aside
from kerasgan.tf_errors import as_os_error

WHITE = 65535


@dataclass(frozen=True)
class Slice:
    """One prepared slice of a visit."""

    view: str
    index: int  # along the view's axis, in canonical order
    images: Mapping[str, np.ndarray]  # modality -> float32 (size, size) in [0, 1]; missing modalities are absent
    segmentation: np.ndarray  # uint8 (size, size)


def _encode(piece: Slice) -> bytes:
    images = {modality: np.rint(image * WHITE).astype("<u2").tobytes() for modality, image in piece.images.items()}
    values = {
        "view": [piece.view.encode()],
        "segmentation": [piece.segmentation.tobytes()],
        **{modality: [images.get(modality, b"")] for modality in MODALITIES},
    }
    features = {name: tf.train.Feature(bytes_list=tf.train.BytesList(value=value)) for name, value in values.items()}
    features["index"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[piece.index]))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def write_shard(path: Path, slices: Sequence[Slice]) -> None:
    """Write a shard aside and rename it, so that a file of this name is always whole."""
    with as_os_error(path), written_aside(path) as aside, tf.io.TFRecordWriter(str(aside)) as writer:
        for piece in slices:
            writer.write(_encode(piece))


def parse(record: tf.Tensor, size: int, modalities: Sequence[str]) -> dict[str, tf.Tensor]:
    """A record as tensors: uint16 (size, size, 1) per modality, uint8 `segmentation` (size, size, 1), `view`, `index`.

    The modalities asked for must be in the record.
    """
    text = tf.io.FixedLenFeature([], tf.string)
    wanted = {name: text for name in (*modalities, "segmentation", "view")}
    example = tf.io.parse_single_example(record, {**wanted, "index": tf.io.FixedLenFeature([], tf.int64)})
    for name, kind in [*((modality, tf.uint16) for modality in modalities), ("segmentation", tf.uint8)]:
        example[name] = tf.reshape(tf.io.decode_raw(example[name], kind), (size, size, 1))
    return example


def to_signed(image: tf.Tensor) -> tf.Tensor:
    """Stored uint16 to float32 in [-1, 1]."""
    return tf.cast(image, tf.float32) * (2 / WHITE) - 1
