"""Shared fixtures: tiny NIfTI cohorts in BraTS layout, prepared once per session."""

import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from kerasgan.startup import load_tensorflow

load_tensorflow()

import tensorflow as tf  # noqa: E402 (loaded quietly above)
from tensorflow.python.framework import config  # noqa: E402

# Before TensorFlow sets up its devices: two virtual processors, so that replicas can be tested on one machine.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))  # of the tests of scripts/benchmarks

# Files of half a minute and more: begun first, so that no process waits for another that has one left.
LONG = (
    "test_aggrgan_study.py",
    "test_pairwise_study.py",
    "test_train.py",
    "test_benchmark_command.py",
    "test_cli.py",
    "test_aggregating.py",
    "test_pggan_run.py",
    "test_workers.py",
    "test_endpoints.py",
)


def pytest_configure(config):
    config.option.loadscopereorder = False  # pytest-xdist would begin with the files of the most tests


def pytest_collection_modifyitems(items):
    order = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


SHAPE = (24, 28, 20)
AFFINE = np.array([[-8.0, 0, 0, 0], [0, -8, 0, 220], [0, 0, 8, 0], [0, 0, 0, 1]])


def make_patient(folder: Path, name: str, seed: int, missing: tuple[str, ...] = (), enhancing: bool = True) -> None:
    """An ellipsoid with a ball in it, whose modalities are functions of one another, in BraTS 2021 names."""
    rng = np.random.default_rng(seed)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    brain = x**2 + y**2 + z**2 < 0.8
    centre = rng.uniform(-0.3, 0.3, 3)
    tumour = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2 < 0.15
    texture = 300 + 150 * np.sin(4 * x + seed) * np.cos(3 * y) + 50 * z
    images = {
        "t1": texture - 80 * tumour,
        "t1ce": texture + (500 if enhancing else -150) * tumour,
        "t2": 800 - texture + 200 * tumour,
        "flair": 600 - 0.5 * texture + 300 * tumour,
    }
    (folder / name).mkdir(parents=True)
    for suffix, image in images.items():
        if suffix not in missing:
            voxels = np.where(brain, image, 0).astype(np.int16)
            nibabel.Nifti1Image(voxels, AFFINE).to_filename(folder / name / f"{name}_{suffix}.nii.gz")
    segmentation = nibabel.Nifti1Image((4 * (tumour & brain)).astype(np.uint8), AFFINE)
    segmentation.to_filename(folder / name / f"{name}_seg.nii.gz")


@pytest.fixture(scope="session")
def brats_folder(tmp_path_factory) -> Path:
    """Ten patients in BraTS layout; the last one lacks T2. Tumours of those with even numbers enhance."""
    folder = tmp_path_factory.mktemp("brats")
    for number in range(10):
        missing = ("t2",) if number == 9 else ()
        make_patient(folder, f"BraTS2021_{number:05}", number, missing, enhancing=number % 2 == 0)
    return folder


SMALL = (
    "data.size=32",
    "data.min_gap=2",
    "training.batch_size=4",
    "study.removed=0.2",
    "classifier.batch_size=4",
    "classifier.network.filters=[4,8,8]",
    "classifier.network.downsample_after=[1,2]",
    "classifier.network.dense=[8]",
    "classifier.stage1.epochs=3",
    "classifier.stage1.until=[1,2]",
    "classifier.stage2.epochs=2",
    "autoencoder.filters=[4,8]",
    "autoencoder.strides=[2,2]",
    "autoencoder.epochs=2",
    "evaluation.bootstrap=50",
    "evaluation.permutations=100",
)


BRAINMR = (
    "data.size=32",
    "split.train=0.6",
    "split.validation=0.2",
    "split.test=0.2",
    "study.held_out=true",
    "network.latent=8",
    "network.filters=[8,8,4]",
    *(f"{model}.{rest}" for model in ("dcgan", "wgan") for rest in ("batch_size=4", "epochs=3", "steps_per_epoch=5")),
    *(f"{model}.{rest}" for model in ("dcgan", "wgan") for rest in ("validate_every=1", "sample_every=1")),
    "comparison.images=20",
    "comparison.seeds=1",
    "comparison.c2st_epochs=1",
    "comparison.encoder_epochs=1",
    "comparison.neighbours=2",
)


NAMES = ("dcgan1", "dcgan2", "wgandiv", "lsgan", "infogan")
AGGRGAN = (
    "data.size=32",
    "data.slices_per_view=2",
    "data.min_gap=1",
    "split.train=0.4",
    "split.validation=0.2",
    "split.test=0.4",
    "split.stratify=idh",
    "study.label=idh",
    "study.tumours=[mutant,wildtype]",
    "network.latent=8",
    "network.filters=[8,8,4]",
    *(f"{model}.{rest}" for model in NAMES for rest in ("batch_size=2", "epochs=2", "validate_every=1")),
    *(f"{model}.{rest}" for model in NAMES for rest in ("checkpoint_every=1", "sample_every=1")),
    "wgandiv.critic_steps=2",
    "infogan.categories=3",
    "infogan.continuous=1",
    "infogan.hidden=4",
    "aggregation.images=4",
    "style.weights=random",
    "style.iterations=1",
    "classification.networks=[small]",
    "classification.epochs=1",
    "classification.batch_size=4",
    "classification.augmented=2",
)


FEATUREGAN = (
    "data.size=32",
    "data.slice_range=[0.3,0.7]",
    "unet.filters=[4,4,6,8,8]",
    "unet.kernels=he_normal",
    "unet.learning_rate=0.003",
    "unet.epochs=2",
    "unet.batch_size=8",
    "features.block=encoder4",
    "features.batch_size=8",
    "acgan.latent=6",
    "acgan.epochs=2",
    "acgan.batch_size=8",
    "acgan.samples=40",
    "acgan.validate_every=1",
    "acgan.sample_every=2",
    "feature_classifier.filters=[4,4]",
    "feature_classifier.dense=8",
    "feature_classifier.epochs=2",
    "feature_classifier.batch_size=8",
    "sweep.widths=[4,6]",
    "sweep.width=6",
    "sweep.counts=[0,4]",
    "sweep.repeats=2",
)


PGGAN = (
    "data.size=16",
    "data.frame=20",
    "data.slice_range=[0.4,0.6]",
    "split.train=0.6",
    "split.test=0.4",
    "split.stratify=idh",
    "study.label=idh",
    "study.negative=wildtype",
    "study.positive=mutant",
    "network.latent=6",
    "network.scale=0.01",
    "network.class_from=16",
    "pggan.steps=14",
    "pggan.steps_per_epoch=2",
    "pggan.learning_rate=0.01",
    "pggan.average=0.9",
    "pggan.deterministic=true",
    "pggan.checkpoint_every=1",
    "pggan.validate_every=1",
    "pggan.sample_every=1",
    "dcgan.filters=[8,4]",
    "dcgan.batch_size=4",
    "dcgan.steps=4",
    "dcgan.steps_per_epoch=2",
    "gan_train.images=12",
    "gan_train.repeats=2",
    "gan_train.backbone=encoder",
    "gan_train.encoder_epochs=1",
    "gan_train.bootstrap=50",
)


@contextmanager
def narrow():
    """Pairwise networks of an eighth of the paper's filters, which no setting has: half of a tiny training's time."""
    from kerasgan.papers.pairwise import networks

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks.generator, "__defaults__", ((4, 8, 16, 32),))
        patch.setattr(networks.discriminator, "__defaults__", ((8, 16, 32, 64),))
        yield


@contextmanager
def undrawn():
    """Blank figures, for trainings whose figures are not what is tested: a quarter of a tiny training's time."""
    from kerasgan.report import figures

    def blank(canvas, path, **options):
        Image.new("L", (1, 1)).save(path, "png")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures.FigureCanvasAgg, "print_figure", blank)
        yield


@pytest.fixture(scope="session")
def small_overrides() -> tuple[str, ...]:
    """Overrides that make configs/pairwise.yaml fit the tiny cohort."""
    return SMALL


@pytest.fixture(scope="session")
def cohort_csv(brats_folder, tmp_path_factory) -> Path:
    """The cohort CSV of `brats_folder`, with labels: `idh`, wildtype where tumours enhance, else mutant; `grade`."""
    from kerasgan.data.cohort import write_cohort
    from kerasgan.data.indexers import index

    path, cohort = tmp_path_factory.mktemp("cohort") / "cohort.csv", index(brats_folder, "brats")
    numbers = [int(visit.patient[-1]) for visit in cohort.visits]
    labels = [{"idh": "mutant" if n % 2 else "wildtype", "grade": "LGG" if n in (3, 4, 5) else "HGG"} for n in numbers]
    visits = tuple(replace(visit, labels=own) for visit, own in zip(cohort.visits, labels, strict=True))
    write_cohort(replace(cohort, visits=visits), path)
    return path


@pytest.fixture(scope="session")
def prepared_folder(cohort_csv, tmp_path_factory) -> Path:
    """`brats_folder`, prepared with the small overrides. Not to be written to."""
    from kerasgan import experiment

    folder = tmp_path_factory.mktemp("prepared") / "prepared"
    experiment.prepare(cohort_csv, folder, overrides=SMALL, quiet=True)
    return folder


@pytest.fixture(scope="session")
def brainmr_overrides() -> tuple[str, ...]:
    """Overrides that make configs/brainmr.yaml fit the tiny cohort."""
    return BRAINMR


@pytest.fixture(scope="session")
def sagittal_folder(cohort_csv, tmp_path_factory) -> Path:
    """`brats_folder`, prepared as configs/brainmr.yaml says, but at 32x32. Not to be written to."""
    from kerasgan import experiment

    folder = tmp_path_factory.mktemp("sagittal") / "prepared"
    experiment.prepare(cohort_csv, folder, model="dcgan", overrides=BRAINMR, quiet=True)
    return folder


@pytest.fixture(scope="session")
def aggrgan_overrides() -> tuple[str, ...]:
    """Overrides that make configs/aggrgan.yaml fit the tiny cohort, whose classes are mutant and wildtype."""
    return AGGRGAN


@pytest.fixture(scope="session")
def classes_folder(cohort_csv, tmp_path_factory) -> Path:
    """`brats_folder`, prepared as configs/aggrgan.yaml says, but at 32x32. Not to be written to."""
    from kerasgan import experiment

    folder = tmp_path_factory.mktemp("classes") / "prepared"
    experiment.prepare(cohort_csv, folder, model="dcgan1", overrides=AGGRGAN, quiet=True)
    return folder


@pytest.fixture(scope="session")
def featuregan_overrides() -> tuple[str, ...]:
    """Overrides that make configs/featuregan.yaml fit the tiny cohort."""
    return FEATUREGAN


@pytest.fixture(scope="session")
def graded_folder(cohort_csv, tmp_path_factory) -> Path:
    """`brats_folder`, prepared as configs/featuregan.yaml says, but at 32x32. Not to be written to."""
    from kerasgan import experiment

    folder = tmp_path_factory.mktemp("graded") / "prepared"
    experiment.prepare(cohort_csv, folder, model="unet", overrides=FEATUREGAN, quiet=True)
    return folder


@pytest.fixture(scope="session")
def unet_run(graded_folder, tmp_path_factory) -> Path:
    """A finished run of the U-Net on `graded_folder`. Not to be written to."""
    from kerasgan import experiment

    folder = tmp_path_factory.mktemp("unet") / "flair"
    return experiment.train("unet", data=graded_folder, overrides=FEATUREGAN, run_dir=folder, quiet=True)


@pytest.fixture(scope="session")
def features_folder(unet_run, tmp_path_factory) -> Path:
    """The features of `unet_run`, 4x4x8 of each slice. Not to be written to."""
    from kerasgan import experiment

    return experiment.extract_features(unet_run, tmp_path_factory.mktemp("features") / "store", quiet=True).folder


@pytest.fixture(scope="session")
def pggan_overrides() -> tuple[str, ...]:
    """Overrides that make configs/pggan.yaml fit the tiny cohort, whose classes are mutant and wildtype."""
    return PGGAN


@pytest.fixture(scope="session")
def patches_folder(cohort_csv, tmp_path_factory) -> Path:
    """`brats_folder`, prepared as configs/pggan.yaml says, but in patches of 16x16. Not to be written to."""
    from kerasgan import experiment

    folder = tmp_path_factory.mktemp("patches") / "prepared"
    experiment.prepare(cohort_csv, folder, model="pggan", overrides=PGGAN, quiet=True)
    return folder


@pytest.fixture
def deterministic():
    """Lets a test ask for determinism, which TensorFlow keeps for the rest of the process."""
    yield
    config.disable_op_determinism()


@pytest.fixture(scope="session")
def pggan_run(patches_folder, tmp_path_factory) -> Path:
    """A finished run of PGGAN on `patches_folder`, told the class at 16x16. Not to be written to."""
    from kerasgan import experiment

    folder = tmp_path_factory.mktemp("pggan") / "t1-16"
    experiment.train("pggan", data=patches_folder, overrides=PGGAN, run_dir=folder, quiet=True)
    config.disable_op_determinism()
    return folder


@pytest.fixture(scope="session")
def noise_run(sagittal_folder, tmp_path_factory) -> Path:
    """A finished run of DCGAN on T1 at 32x32. Not to be written to."""
    from kerasgan import experiment

    folder = tmp_path_factory.mktemp("noise") / "t1-32"
    more = {"data": sagittal_folder, "overrides": BRAINMR, "run_dir": folder, "quiet": True}
    return experiment.train("dcgan", sequence="t1", size=32, **more)


@pytest.fixture(scope="session")
def finished_run(prepared_folder, tmp_path_factory) -> Path:
    """A finished run of the pair T1, T1e on `prepared_folder`, of narrow networks. Not to be written to."""
    from kerasgan import experiment

    folder = tmp_path_factory.mktemp("runs") / "t1-t1e"
    overrides = [*SMALL, "training.epochs=2", "training.validate_every=1", "training.sample_every=2"]
    with narrow():
        return experiment.train(
            "pairwise", pair=("t1", "t1e"), data=prepared_folder, overrides=overrides, run_dir=folder, quiet=True
        )
