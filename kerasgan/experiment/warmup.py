"""Warm-up requests for TensorFlow Serving. Needs the extra `serving` (tensorflow-serving-api)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2


def write_warmup(path: Path, model: str, requests: Sequence[Mapping[str, np.ndarray]]) -> None:
    """Predict requests, of inputs by name, which a server runs before it takes traffic.

    The file is read back: one that cannot be parsed would make the server refuse the whole model.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    logs = [_request(model, inputs) for inputs in requests]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())
    if read_warmup(path) != logs:
        raise OSError(f"{path} was not written whole")


def read_warmup(path: Path) -> list[prediction_log_pb2.PredictionLog]:
    """The requests in a warm-up file."""
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    return [prediction_log_pb2.PredictionLog.FromString(record) for record in records]


def _request(model: str, inputs: Mapping[str, np.ndarray]) -> prediction_log_pb2.PredictionLog:
    request = predict_pb2.PredictRequest(
        model_spec=model_pb2.ModelSpec(name=model, signature_name="serving_default"),
        inputs={name: tf.make_tensor_proto(value) for name, value in inputs.items()},
    )
    return prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
