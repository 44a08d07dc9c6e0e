import json
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan import experiment
from kerasgan.errors import UserError

FRESH = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
sys.modules["kerasgan"] = None  # importing it would fail: the SavedModel must not need it
import numpy as np, tensorflow as tf
folder, given, expected = sys.argv[1:]
serving = tf.saved_model.load(folder).signatures["serving_default"]
(name, spec), = serving.structured_input_signature[1].items()
outputs = {k: v.shape.as_list() for k, v in serving.structured_outputs.items()}
print(name, spec.shape.as_list(), spec.dtype.name, outputs)
images = np.load(given)
for n in (1, 3):
    (made,) = serving(**{name: tf.constant(images[:n])}).values()
    np.testing.assert_allclose(made.numpy(), np.load(expected)[:n], atol=1e-5)
"""


@pytest.fixture(scope="module")
def exported(finished_run, tmp_path_factory):
    base = tmp_path_factory.mktemp("saved_models")
    return base, experiment.export(finished_run, base, warmup=False)


def test_layout_for_tensorflow_serving(exported):
    base, versions = exported
    assert [str(v.relative_to(base)) for v in versions] == ["pairwise_t1_to_t1e/1", "pairwise_t1e_to_t1/1"]
    for version in versions:
        assert (version / "saved_model.pb").is_file()
        assert (version / "variables" / "variables.index").is_file()
        assert [path.name for path in version.parent.iterdir()] == ["1"], "nothing unfinished lies beside a version"


def test_numbers_in_a_fresh_process_without_kerasgan(exported, finished_run, tmp_path):
    images = np.random.default_rng(0).uniform(-1, 1, (3, 32, 32, 1)).astype(np.float32)
    generator = keras.saving.load_model(finished_run / "generators" / "t1_to_t1e.keras", safe_mode=True)
    np.save(tmp_path / "given.npy", images)
    np.save(tmp_path / "expected.npy", generator.predict(images, verbose=0))
    arguments = [exported[1][0], tmp_path / "given.npy", tmp_path / "expected.npy"]
    done = subprocess.run(
        [sys.executable, "-c", FRESH, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "t1 [None, 32, 32, 1] float32 {'t1e': [None, 32, 32, 1]}"


def test_the_next_version_is_the_next_number(finished_run, tmp_path):
    (tmp_path / "pairwise_t1_to_t1e" / "7").mkdir(parents=True)
    versions = experiment.export(finished_run, tmp_path, warmup=False)
    assert [version.name for version in versions] == ["8", "1"]


def test_a_group_is_exported_whole(finished_run, tmp_path):
    shutil.copytree(finished_run, tmp_path / "group" / "t1-t1e")
    versions = experiment.export(tmp_path / "group", tmp_path / "models", warmup=False)
    assert len(versions) == 2


def test_a_run_that_lacks_a_direction_is_not_exported_by_half(finished_run, tmp_path):
    shutil.copytree(finished_run, tmp_path / "run")
    (tmp_path / "run" / "generators" / "t1e_to_t1.keras").unlink()
    with pytest.raises(UserError, match=r"there is no file .*t1e_to_t1\.keras; restore the file"):
        experiment.export(tmp_path / "run", tmp_path / "models", warmup=False)
    assert not (tmp_path / "models").exists()


def test_a_failed_export_leaves_no_version(finished_run, tmp_path, monkeypatch):
    def fail(model, path, **options):
        (Path(path) / "variables").mkdir(parents=True)
        (Path(path) / "saved_model.pb").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", fail)
    with pytest.raises(OSError, match="No space left"):
        experiment.export(finished_run, tmp_path, warmup=False)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_readme_names_data_inputs_and_commands(exported):
    text = (exported[1][0] / "README.md").read_text()
    assert "BraTS folders in" in text
    assert f"curl -d @{exported[0]}/pairwise_t1_to_t1e/1/example_request.json" in text
    assert "-p 127.0.0.1:8501:8501" in text
    request = json.loads((exported[1][0] / "example_request.json").read_text())
    assert np.shape(request["inputs"]["t1"]) == (1, 32, 32, 1)


def test_models_config_is_what_the_server_parses(exported):
    protos = pytest.importorskip("tensorflow_serving.config.model_server_config_pb2")
    from google.protobuf import text_format

    parsed = text_format.Parse((exported[0] / "models.config").read_text(), protos.ModelServerConfig())
    models = [(c.name, c.base_path, c.model_platform) for c in parsed.model_config_list.config]
    assert models == [
        ("pairwise_t1_to_t1e", "/models/pairwise_t1_to_t1e", "tensorflow"),
        ("pairwise_t1e_to_t1", "/models/pairwise_t1e_to_t1", "tensorflow"),
    ]


def test_warm_up_requests_name_model_signature_and_input(finished_run, tmp_path):
    pytest.importorskip("tensorflow_serving")
    from kerasgan.experiment.export import WARMUP
    from kerasgan.experiment.warmup import read_warmup

    version = experiment.export(finished_run, tmp_path, warmup=True)[0]
    requests = [log.predict_log.request for log in read_warmup(version / WARMUP)]
    assert [request.model_spec.name for request in requests] == ["pairwise_t1_to_t1e"] * 2
    assert {request.model_spec.signature_name for request in requests} == {"serving_default"}
    shapes = [tf.make_ndarray(request.inputs["t1"]).shape for request in requests]
    assert shapes == [(1, 32, 32, 1), (16, 32, 32, 1)]


def test_warm_up_without_the_extra_says_how_to_get_it(finished_run, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'kerasgan\[serving\]'"):
        experiment.export(finished_run, tmp_path, warmup=True)
    assert not list(tmp_path.iterdir())


def test_a_generator_from_noise(noise_run, tmp_path):
    (version,) = experiment.export(noise_run, tmp_path, warmup=True)
    assert version.relative_to(tmp_path).parts == ("dcgan_t1_32", "1")
    serving = tf.saved_model.load(str(version)).signatures["serving_default"]
    noise = np.random.default_rng(1).normal(0, 3, (2, 8)).astype(np.float32)
    image = serving(noise=tf.constant(noise))["image"].numpy()
    generator = keras.saving.load_model(noise_run / "generators" / "generator.keras", safe_mode=True)
    np.testing.assert_allclose(image, np.clip(generator(noise), -1, 1), atol=1e-5)
    request = json.loads((version / "example_request.json").read_text())
    assert np.shape(request["inputs"]["noise"]) == (1, 8)
    assert "from noise" in (version / "README.md").read_text()
