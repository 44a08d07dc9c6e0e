"""SavedModels for TensorFlow Serving: base/NAME/VERSION/, models.config, warm-up requests, a README."""

import importlib.util
import json
from pathlib import Path
from string import Template

import keras
import numpy as np
import tensorflow as tf

from kerasgan.errors import UserError
from kerasgan.experiment.endpoints import Endpoint, endpoints_of
from kerasgan.experiment.runs import Run, open_run
from kerasgan.files import write_text, written_aside
from kerasgan.tf_errors import as_os_error

WARMUP = Path("assets.extra") / "tf_serving_warmup_requests"
_WARMUP_BATCHES = (1, 16)  # the two shapes that clients send most: a slice, and a batch of `translate`


def export(
    run: str | Path, to: str | Path = "saved_models", *, stage: int | None = None, warmup: bool | None = None
) -> list[Path]:
    """Export each network that a finished run, or every run of a group, has to serve; returns the version folders.

    Args:
        run: the folder of a run, or of a group.
        to: the base folder that the server is given.
        stage: pixels of the stage of a growing model; None: the last.
        warmup: write warm-up requests (extra `serving`); None: if the extra is installed.
    """
    folder, to = Path(run), Path(to)
    members = sorted(path.parent for path in folder.glob("*/run.json"))
    runs = [open_run(each) for each in (members if members and not (folder / "run.json").exists() else [folder])]
    available = importlib.util.find_spec("tensorflow_serving") is not None
    if warmup and not available:
        raise UserError("warm-up requests need the extra: pip install 'kerasgan[serving]'; or export with --no-warmup")
    versions = [
        _export_one(each, end, to, warmup=available if warmup is None else warmup)
        for each in runs
        for end in endpoints_of(each, stage)
    ]
    write_text(to / "models.config", models_config(to))
    return versions


def _export_one(run: Run, end: Endpoint, to: Path, warmup: bool) -> Path:
    model = to / end.name
    archive = keras.export.ExportArchive()
    for network in end.networks:
        archive.track(network)
    archive.add_endpoint(
        "serve",  # the first endpoint is also serving_default
        # A dictionary gives the output a name that does not depend on Keras's layer names.
        lambda *given: {end.output: end.call(*given)},
        input_signature=[tf.TensorSpec((None, *each.shape), each.dtype, name=each.name) for each in end.inputs],
    )
    version = _next_version(model)
    # The server polls for numeric folders: one that is still being written must not have such a name.
    with as_os_error(model), written_aside(model / str(version)) as aside:
        archive.write_out(str(aside), verbose=False)
        if warmup:
            from kerasgan.experiment.warmup import write_warmup  # needs the extra `serving`

            write_warmup(aside / WARMUP, end.name, [_neutral(end, count) for count in _WARMUP_BATCHES])
        text = _README.substitute(
            name=end.name,
            given=", ".join(f"{each.name}=..." for each in end.inputs),
            target=end.output,
            about=end.about,
            version=version,
            origin=run.origin,
            run=run.folder.resolve().name,
            base=to,
        )
        (aside / "README.md").write_text(text, encoding="utf-8")
        (aside / "example_request.json").write_text(_example(end), encoding="utf-8")
    return model / str(version)


def _neutral(end: Endpoint, count: int) -> dict[str, np.ndarray]:
    """Inputs of black slices, or of the noise that is the middle of all."""
    return {each.name: np.full((count, *each.shape), each.neutral, each.dtype.as_numpy_dtype) for each in end.inputs}


def _next_version(model: Path) -> int:
    taken = [int(entry.name) for entry in model.glob("*") if entry.name.isdigit()] if model.is_dir() else []
    return max(taken, default=0) + 1


def models_config(base: Path) -> str:
    """A ModelServerConfig in text format that lists every model below `base`, as the server's container mounts it."""
    names = sorted({path.parent.parent.name for path in base.glob("*/*/saved_model.pb") if path.parent.name.isdigit()})
    entries = [
        f"  config {{\n    name: '{name}'\n    base_path: '/models/{name}'\n    model_platform: 'tensorflow'\n  }}\n"
        for name in names
    ]
    return "model_config_list {\n" + "".join(entries) + "}\n"


def _example(end: Endpoint) -> str:
    """A REST request of one neutral example."""
    given = {name: value.tolist() for name, value in _neutral(end, 1).items()}
    return json.dumps({"signature_name": "serving_default", "inputs": given})


_README = Template("""# $name, version $version

$about

Trained by the run `$run` on: $origin.

    docker run --rm -p 127.0.0.1:8501:8501 -v "$$(realpath $base):/models" tensorflow/serving \\
        --model_config_file=/models/models.config
    curl -d @$base/$name/$version/example_request.json http://127.0.0.1:8501/v1/models/$name:predict

Without a server:

    import tensorflow as tf
    model = tf.saved_model.load("$base/$name/$version")
    $target = model.signatures["serving_default"]($given)["$target"]
""")
