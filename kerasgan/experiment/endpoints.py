"""What the networks of a finished run take and give when they are served."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import keras
import tensorflow as tf

from kerasgan.errors import UserError
from kerasgan.experiment.features import makers_of, standard_of
from kerasgan.experiment.generation import GENERATOR, classes_of, generator_of, load_network
from kerasgan.experiment.runs import Run, refuse_other_data
from kerasgan.papers.featuregan.classification import CLASSIFIER as FEATURE_CLASSIFIER
from kerasgan.papers.featuregan.feature_classifier import probability
from kerasgan.papers.featuregan.segmentation import NETWORK as UNET
from kerasgan.papers.featuregan.store import FeatureStore, open_features
from kerasgan.papers.pggan.training import STAGES


@dataclass(frozen=True)
class Input:
    """An input: numbers of a shape, without the batch's axis. (TensorFlow forbids names that are words of Python's.)"""

    name: str
    shape: tuple[int, ...]
    neutral: float  # its value in examples
    dtype: tf.DType = tf.float32


@dataclass(frozen=True)
class Endpoint:
    """A served model: `call` gives its output from tensors of its inputs, in their order."""

    name: str
    inputs: Sequence[Input]
    output: str  # its name
    about: str
    networks: Sequence[keras.Model]  # that `call` calls
    call: Callable[..., tf.Tensor] = field(compare=False)


def endpoints_of(run: Run, stage: int | None = None) -> list[Endpoint]:
    """What a finished run has to serve; nothing is a `UserError`.

    `stage`: the pixels of a stage of a growing model (pggan); None: the last one, or of any other model.
    """
    if run.model == "pggan":
        return [_pggan(run, run.settings.data.size if stage is None else stage)]
    if stage is not None:
        raise UserError(f"{run.folder} is a run of {run.model}, which has no stages; leave out --stage {stage}")
    if run.model in _OTHERS:
        return [_OTHERS[run.model](run)]
    if run.model == "pairwise":
        ways = sorted(f"{m}_to_{n}" for m, n in (run.target["pair"], run.target["pair"][::-1]))
        return [_translator(run, run.folder / "generators" / f"{way}.keras") for way in ways]
    if not (run.folder / GENERATOR).is_file() and not (run.folder / "generators").exists():
        raise UserError(
            f"{run.folder}, a run of {run.model}, has nothing to serve; give a run of a model that generates"
        )
    return [_from_noise(run)]


def _from_noise(run: Run) -> Endpoint:
    generator = generator_of(run)
    size, (latent,) = generator.output_shape[1], generator.input_shape[1:]
    target = "_".join(str(value) for value in run.target.values())
    about = f"""Makes {target.replace("_", " ")} images from noise.

Input `noise`: float32 (n, {latent}), standard normal numbers.
Output `image`: float32 (n, {size}, {size}, 1), clipped to [-1, 1], upright slices, background -1."""
    noise = Input("noise", (latent,), 0.0)
    return Endpoint(f"{run.model}_{target}", [noise], "image", about, [generator], _clipped(generator))


def _pggan(run: Run, stage: int) -> Endpoint:
    if stage not in run.settings.resolutions:
        stages = ", ".join(map(str, run.settings.resolutions))
        raise UserError(f"{run.folder} has the stages {stages}, not {stage}; give one of them")
    generator = load_network(run.folder / STAGES / f"{stage:04}.keras")
    (_, latent), classes = generator.inputs[0].shape, classes_of(run)
    taken, told = [Input("noise", (latent,), 0.0)], ""
    if len(generator.inputs) == 2:
        taken.append(Input("label", (), 0, tf.int32))
        told = "\nInput `label`: int32 (n,), " + ", ".join(f"{k} for {name}" for k, name in enumerate(classes)) + "."
    about = f"""Makes {run.settings.study.modality} images from noise.

Input `noise`: float32 (n, {latent}), uniform in [-1, 1].{told}
Output `image`: float32 (n, {stage}, {stage}, 1), clipped to [-1, 1], upright slices, background -1."""

    def call(*given: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(generator(given[0] if len(given) == 1 else list(given), training=False), -1.0, 1.0)

    name = f"pggan_{run.settings.study.modality}_{stage}"
    return Endpoint(name, taken, "image", about, [generator], call)


def _translator(run: Run, path: Path) -> Endpoint:
    generator = load_network(path)
    size = generator.output_shape[1]
    source, target = path.stem.split("_to_")
    about = f"""Translates {source} slices to {target}.

Input `{source}`: float32 (n, {size}, {size}, 1) in [-1, 1], upright slices in radiological convention, background -1.
Output `{target}`: the same shape and range."""
    taken = Input(source, generator.input_shape[1:], -1.0)
    return Endpoint(f"{run.model}_{path.stem}", [taken], target, about, [generator], _clipped(generator))


def _clipped(generator: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    return lambda given: tf.clip_by_value(generator(given, training=False), -1.0, 1.0)


def _unet(run: Run) -> Endpoint:
    network = load_network(run.folder / UNET)
    standard = standard_of(run)
    size, _, channels = network.input_shape[1:]
    names = ", ".join(run.settings.study.modalities)
    about = f"""Segments tumours.

Input `image`: float32 (n, {size}, {size}, {channels}) in [-1, 1], upright slices of {names}, background -1.
Output `probability`: float32 (n, {size}, {size}, 1) in [0, 1], of tumour."""

    def call(image: tf.Tensor) -> tf.Tensor:
        return network(standard.standardise((image + 1) / 2), training=False)

    taken = Input("image", network.input_shape[1:], -1.0)
    return Endpoint(f"unet_{'_'.join(run.settings.study.modalities)}", [taken], "probability", about, [network], call)


def _learnt(run: Run) -> FeatureStore:
    """The features that a run has learnt, by which what it takes and gives is standardised."""
    store = open_features(Path(run.data))
    refuse_other_data(run, store)
    return store


def _acgan(run: Run) -> Endpoint:
    makers, study = makers_of(run, _learnt(run)), run.settings.study
    (_, latent), shape = makers.generator.input_shape[0], makers.generator.output_shape[1:]
    size = ", ".join(map(str, shape))
    about = f"""Makes features of a U-Net from noise, of a wanted class.

Inputs `noise`: float32 (n, {latent}), standard normal numbers; `label`: int32 (n,), 0 for {study.negative}, 1 for
{study.positive}.
Output `features`: float32 (n, {size}), in the U-Net's units."""
    taken = [Input("noise", (latent,), 0.0), Input("label", (), 0, tf.int32)]
    name = f"acgan_width_{run.target['width']}"
    return Endpoint(name, taken, "features", about, [makers.generator], makers.restored)


def _feature_classifier(run: Run) -> Endpoint:
    network, study = load_network(run.folder / FEATURE_CLASSIFIER), run.settings.study
    standard = _learnt(run).manifest.channels["train"]
    shape = network.input_shape[1:]
    about = f"""Tells {study.positive} from {study.negative} by features of a U-Net.

Input `features`: float32 (n, {", ".join(map(str, shape))}), in the U-Net's units.
Output `probability`: float32 (n,) in [0, 1], of {study.positive}."""

    def call(features: tf.Tensor) -> tf.Tensor:
        return probability(network, standard.standardise(features))

    name = f"feature_classifier_{run.target['count'] or 0}"
    return Endpoint(name, [Input("features", shape, 0.0)], "probability", about, [network], call)


_OTHERS: dict[str, Callable[[Run], Endpoint]] = {
    "unet": _unet,
    "acgan": _acgan,
    "feature-classifier": _feature_classifier,
}
