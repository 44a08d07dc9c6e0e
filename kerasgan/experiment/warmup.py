"""Warm-up requests for TensorFlow Serving. Needs the extra `serving` (tensorflow-serving-api)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2


def write_warmup(path: Path, model: str, input_name: str, shapes: Sequence[tuple[int, ...]], value: float) -> None:
    """One predict request full of `value` per shape, which a server runs before it takes traffic.

    The file is read back: one that cannot be parsed would make the server refuse the whole model.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    logs = [_request(model, input_name, shape, value) for shape in shapes]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())
    if read_warmup(path) != logs:
        raise OSError(f"{path} was not written whole")


def read_warmup(path: Path) -> list[prediction_log_pb2.PredictionLog]:
    """The requests in a warm-up file."""
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    return [prediction_log_pb2.PredictionLog.FromString(record) for record in records]


def _request(model: str, input_name: str, shape: tuple[int, ...], value: float) -> prediction_log_pb2.PredictionLog:
    request = predict_pb2.PredictRequest(
        model_spec=model_pb2.ModelSpec(name=model, signature_name="serving_default"),
        inputs={input_name: tf.make_tensor_proto(np.full(shape, value, np.float32))},
    )
    return prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
