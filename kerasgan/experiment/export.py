"""SavedModels for TensorFlow Serving: base/NAME/VERSION/, models.config, warm-up requests, a README."""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from string import Template

import keras
import numpy as np
import tensorflow as tf

from kerasgan.errors import UserError
from kerasgan.experiment.generation import GENERATOR
from kerasgan.experiment.runs import Run, open_run
from kerasgan.files import write_text, written_aside
from kerasgan.tf_errors import as_os_error

WARMUP = Path("assets.extra") / "tf_serving_warmup_requests"
_WARMUP_BATCHES = (1, 16)  # the two shapes that clients send most: a slice, and a batch of `translate`


def export(run: str | Path, to: str | Path = "saved_models", *, warmup: bool | None = None) -> list[Path]:
    """Export each generator of a finished run, or of every run in a group; returns the version folders.

    Args:
        run: the folder of a run, or of a group.
        to: the base folder that the server is given.
        warmup: write warm-up requests (extra `serving`); None: if the extra is installed.
    """
    folder, to = Path(run), Path(to)
    members = sorted(path.parent for path in folder.glob("*/run.json"))
    runs = [open_run(each) for each in (members if members and not (folder / "run.json").exists() else [folder])]
    available = importlib.util.find_spec("tensorflow_serving") is not None
    if warmup and not available:
        raise UserError("warm-up requests need the extra: pip install 'kerasgan[serving]'; or export with --no-warmup")
    versions = [
        _export_one(each, path, to, warmup=available if warmup is None else warmup)
        for each in runs
        for path in sorted((each.folder / "generators").glob("*.keras"))
    ]
    write_text(to / "models.config", models_config(to))
    return versions


@dataclass(frozen=True)
class _Endpoint:
    """What a generator takes and gives."""

    name: str  # of the served model
    source: str  # of the input
    target: str  # of the output
    shape: tuple[int, ...]  # of one input
    about: str
    neutral: float  # an input's value in examples


def _endpoint(run: Run, path: Path, generator: keras.Model) -> _Endpoint:
    shape, (size, *_) = generator.input_shape[1:], generator.output_shape[1:]
    if path.name == GENERATOR.name:
        target = "_".join(str(value) for value in run.target.values())
        about = f"""Makes {target.replace("_", " ")} images from noise.

Input `noise`: float32 (n, {shape[0]}), standard normal numbers.
Output `image`: float32 (n, {size}, {size}, 1), clipped to [-1, 1], upright slices, background -1."""
        return _Endpoint(f"{run.model}_{target}", "noise", "image", shape, about, 0.0)
    source, target = path.stem.split("_to_")
    about = f"""Translates {source} slices to {target}.

Input `{source}`: float32 (n, {size}, {size}, 1) in [-1, 1], upright slices in radiological convention, background -1.
Output `{target}`: the same shape and range."""
    return _Endpoint(f"{run.model}_{path.stem}", source, target, shape, about, -1.0)


def _export_one(run: Run, path: Path, to: Path, warmup: bool) -> Path:
    generator = keras.saving.load_model(path, compile=False, safe_mode=True)
    end = _endpoint(run, path, generator)
    model = to / end.name
    archive = keras.export.ExportArchive()
    archive.track(generator)
    archive.add_endpoint(
        "serve",  # the first endpoint is also serving_default
        # A dictionary gives the output a name that does not depend on Keras's layer names.
        lambda given: {end.target: tf.clip_by_value(generator(given, training=False), -1.0, 1.0)},
        input_signature=[tf.TensorSpec((None, *end.shape), tf.float32, name=end.source)],
    )
    version = _next_version(model)
    # The server polls for numeric folders: one that is still being written must not have such a name.
    with as_os_error(model), written_aside(model / str(version)) as aside:
        archive.write_out(str(aside), verbose=False)
        if warmup:
            from kerasgan.experiment.warmup import write_warmup  # needs the extra `serving`

            write_warmup(aside / WARMUP, end.name, end.source, [(n, *end.shape) for n in _WARMUP_BATCHES], end.neutral)
        text = _README.substitute(
            name=end.name,
            source=end.source,
            target=end.target,
            about=end.about,
            version=version,
            origin=run.origin,
            run=run.folder.resolve().name,
            base=to,
        )
        (aside / "README.md").write_text(text, encoding="utf-8")
        (aside / "example_request.json").write_text(_example(end), encoding="utf-8")
    return model / str(version)


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


def _example(end: _Endpoint) -> str:
    """A REST request with one black slice, or with the noise that is the middle of all."""
    given = np.full((1, *end.shape), end.neutral).tolist()
    return json.dumps({"signature_name": "serving_default", "inputs": {end.source: given}})


_README = Template("""# $name, version $version

$about

Trained by the run `$run` on: $origin.

    docker run --rm -p 127.0.0.1:8501:8501 -v "$$(realpath $base):/models" tensorflow/serving \\
        --model_config_file=/models/models.config
    curl -d @$base/$name/$version/example_request.json http://127.0.0.1:8501/v1/models/$name:predict

Without a server:

    import tensorflow as tf
    model = tf.saved_model.load("$base/$name/$version")
    $target = model.signatures["serving_default"]($source=batch)["$target"]
""")
