"""Synthetic features on disk."""

import numpy as np
import pytest
from handmade import SHAPE, pieces, settings, store

from kerasgan.errors import UserError
from kerasgan.papers.featuregan import store_writing
from kerasgan.papers.featuregan.classification import refuse_other_features
from kerasgan.papers.featuregan.generation import BATCH, AcganTask, Makers
from kerasgan.papers.featuregan.store import open_features
from kerasgan.papers.featuregan.synthesis import synthesise

COUNT = 90


@pytest.fixture(scope="module")
def separable(tmp_path_factory):
    """Not to be written to."""
    return store(tmp_path_factory.mktemp("separable") / "features", pieces(train=96))


@pytest.fixture(scope="module")
def makers(separable, featuregan_overrides):
    """Untrained: about half of the classes are told right."""
    task = AcganTask(settings(featuregan_overrides), separable, {"width": 4})
    task.build()
    return Makers(*task.networks(), task.standard, task.training)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    """Of one batch each."""
    monkeypatch.setattr(store_writing, "SHARD_BYTES", BATCH * 4 * int(np.prod(SHAPE)))


def made(makers, real, folder, **more):
    known = {"count": COUNT, "seed": 3, "classes": ("LGG", "HGG"), "origin": "an untrained GAN"}
    return synthesise(makers, real, folder, **known | more)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_only_features_whose_class_is_told_right_are_kept(makers, separable, tmp_path):
    found = made(makers, separable, tmp_path / "made")
    features, _, right = (np.concatenate(each) for each in zip(*makers.judged(COUNT, 3), strict=True))
    assert 10 < right.sum() < 80, "the discriminator is of two minds"
    np.testing.assert_array_equal(found.read(range(found.count)), features[right])
    chosen = [(piece.name, piece.label, piece.subset) for piece in found.extraction.slices]
    expected = np.flatnonzero(right)
    assert chosen == [(f"synthetic_{i:06}", ("LGG", "HGG")[i % 2], "synthetic") for i in expected]
    assert found.manifest.origin == "an untrained GAN"
    assert (found.shape, found.dtype) == (separable.shape, separable.dtype)


def test_the_precision_is_that_of_the_real_ones(makers, tmp_path):
    real = store(tmp_path / "half", pieces(16), dtype="float16")
    assert made(makers, real, tmp_path / "made").dtype == "float16"


def test_it_goes_on_after_an_interruption_with_the_same_bytes(makers, separable, tmp_path):
    whole = made(makers, separable, tmp_path / "whole")
    assert len(whole.manifest.shards) > 2
    written = []

    def kill(count):
        written.append(count)
        if sum(written) > BATCH + 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(makers, separable, tmp_path / "begun", progress=kill)
    with pytest.raises(UserError, match="their extraction did not finish"):
        open_features(tmp_path / "begun")
    found = []
    made(makers, separable, tmp_path / "begun", progress=found.append)
    assert found[0] == BATCH, "the whole shard is kept"
    assert contents(tmp_path / "begun") == contents(tmp_path / "whole")


def test_another_seed_needs_another_folder(makers, separable, tmp_path):
    made(makers, separable, tmp_path / "made")
    with pytest.raises(UserError, match="holds other features"):
        made(makers, separable, tmp_path / "made", seed=4)


def test_none_told_right(makers, separable, tmp_path, monkeypatch):
    monkeypatch.setattr(makers, "classes", lambda features: np.full(len(features), -1))
    with pytest.raises(UserError, match="tells the class of none of 90 generated features right; train the AC-GAN lon"):
        made(makers, separable, tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_features_of_another_block_or_another_network_are_refused(makers, separable, tmp_path):
    synthetic = made(makers, separable, tmp_path / "made")
    refuse_other_features(synthetic, separable)
    for number, change in enumerate([{"weights": "another U-Net"}, {"data": "other slices"}, {"dtype": "float16"}]):
        other = store(tmp_path / f"other{number}", pieces(train=96), **change)
        with pytest.raises(UserError, match=r"was not generated from .* another U-Net, data set or precision"):
            refuse_other_features(synthetic, other)
    other = store(tmp_path / "block", pieces(train=96), block="encoder3")
    with pytest.raises(UserError, match=r"holds features of encoder4, .* of encoder3; generate them with an AC-GAN"):
        refuse_other_features(synthetic, other)
