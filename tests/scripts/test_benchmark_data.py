"""scripts/benchmark prepare, feeding: the same slices as the plain loop's; full batches."""

import numpy as np
from benchmarks import feeding
from benchmarks import prepare as preparing

from kerasgan.data.indexers import index
from kerasgan.data.prepare import prepare_slices
from kerasgan.data.splits import partition_patients
from kerasgan.data.volumes import read_volumes
from kerasgan.papers import settings_of


def test_the_plain_loop_makes_the_same_slices(brats_folder):
    settings = preparing.prepare_settings(quick=True).data
    visit = index(brats_folder, "brats").visits[0]
    volumes = read_volumes(dict(visit.images) | {"segmentation": visit.segmentation})
    segmentation = volumes.pop("segmentation").data
    ours, _ = prepare_slices(volumes, segmentation, settings)
    theirs = preparing.plain_examples(visit, settings)
    assert len(theirs) == len(ours) == 6
    for piece, example in zip(ours, theirs, strict=True):
        for modality, image in piece.images.items():
            np.testing.assert_allclose(plain_image(example, modality, np.float32, settings.size), image, atol=1e-5)
        label = plain_image(example, "segmentation", np.uint8, settings.size)
        np.testing.assert_array_equal(label > 0, piece.segmentation > 0)


def plain_image(example, name, dtype, size):
    return np.frombuffer(example.features.feature[name].bytes_list.value[0], dtype).reshape(size, size)


def test_fed_batches_are_all_full():
    settings = settings_of("pairwise")
    patients = {str(number): "all" for number in range(feeding.PATIENTS)}
    train = partition_patients(patients, settings.split)[0]["train"]
    slices = len(train) * len(settings.data.views) * settings.data.slices_per_view
    assert slices % settings.training.batch_size == 0
