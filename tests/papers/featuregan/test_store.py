"""Features on disk: what is written, in which order it is read, and how little of it is in memory."""

import gc
import json
import time
import tracemalloc
import weakref
from contextlib import nullcontext

import numpy as np
import pytest
import tensorflow as tf

from kerasgan.errors import UserError
from kerasgan.papers.featuregan import extraction, store_writing
from kerasgan.papers.featuregan import store as stores
from kerasgan.papers.featuregan.extraction import extract, weights_hash
from kerasgan.papers.featuregan.reading import AHEAD, READERS, batches_in_order, batches_of
from kerasgan.papers.featuregan.standardisation import Moments, Standard
from kerasgan.papers.featuregan.store import FeatureSlice, open_features
from kerasgan.papers.featuregan.unet import BLOCKS, features, unet

BATCH, COUNT = 2, 11  # three shards of four, of which the last has three slices and its last batch one
IMAGES = np.random.default_rng(0).standard_normal((COUNT, 16, 32, 1)).astype(np.float32)
SLICES = [
    FeatureSlice(name=f"p{i // 2}-{i}", patient=f"p{i // 2}", label="LGG" if i % 4 == 1 else "HGG", subset=subset)
    for i, subset in enumerate(["train"] * 7 + ["validation"] * 2 + ["test"] * 2)
]


def batches(first):
    assert first % BATCH == 0
    for start in range(first, COUNT, BATCH):
        yield IMAGES[start : start + BATCH]


@pytest.fixture(scope="module")
def network():
    network, rng = unet((16, 32), 1, (3, 5, 4, 6, 7)), np.random.default_rng(1)
    for weight in network.weights:
        weight.assign(rng.normal(0.02, 0.2, weight.shape))
    return network


def write(network, folder, block="decoder3", batches=batches, dtype="float32", **changed):
    """decoder3 gives 4x8x4: of four slices a shard."""
    known = {"slices": SLICES, "batch_size": BATCH, "data": "0a", "origin": "noise"} | changed
    slice_bytes = np.prod(features(network, block).output_shape[1:]) * np.dtype(dtype).itemsize
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_writing, "SHARD_BYTES", 5 * int(slice_bytes))
        return extract(network, block, batches, folder, dtype=dtype, **known)


@pytest.fixture(scope="module")
def store(network, tmp_path_factory):
    """Not to be written to."""
    return write(network, tmp_path_factory.mktemp("features") / "store")


def given(network, block="decoder3"):
    """What the network gives, in the batches of the extraction."""
    part = features(network, block)
    return np.concatenate([part.predict_on_batch(images) for images in batches(0)])


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ---- what is written ----


@pytest.mark.parametrize("block", BLOCKS)
def test_float32_is_exactly_what_the_network_gives(network, tmp_path, block):
    store = write(network, tmp_path / "store", block)
    expected = given(network, block)
    assert expected.std() > 0
    np.testing.assert_array_equal(store.read(range(COUNT)), expected)
    assert store.shape == expected.shape[1:] and store.extraction.block == block


def test_float16_is_the_nearest_half_and_half_the_bytes(network, store, tmp_path):
    half = write(network, tmp_path / "store", dtype="float16")
    np.testing.assert_array_equal(half.read(range(COUNT)), given(network).astype(np.float16))
    assert half.read([0]).nbytes * 2 == store.read([0]).nbytes
    batch = next(iter(batches_in_order(half, np.arange(4), 4)))["features"]
    assert batch.dtype == tf.float32
    np.testing.assert_array_equal(batch, given(network)[:4].astype(np.float16).astype(np.float32))


def test_numpy_opens_a_shard(network, store):
    shard = np.load(store.folder / "shards" / "00001.npy")
    np.testing.assert_array_equal(shard, given(network)[4:8])
    assert [each.count for each in store.manifest.shards] == [4, 4, 3]


def test_channel_statistics_are_those_of_each_subset_in_float64(network, tmp_path):
    store = write(network, tmp_path / "store", dtype="float16")
    for subset in ("train", "validation", "test"):
        values = store.read(store.indices(subset)).astype(np.float64)
        found = store.manifest.channels[subset]
        np.testing.assert_allclose(found.mean, values.mean((0, 1, 2)), rtol=1e-12)
        np.testing.assert_allclose(found.deviation, values.std((0, 1, 2)), rtol=1e-12)


def test_merged_moments_are_those_of_all_values():
    values = np.random.default_rng(0).normal([5, -3], [1, 0.1], (90, 2)) + np.repeat([0, 100, -7], 30)[:, None]

    merged = Moments.of(values[:10]).merged(Moments.of(values[10:60])).merged(Moments.of(values[60:]))
    assert merged.values == 90
    np.testing.assert_allclose(merged.mean, values.mean(0), rtol=1e-13)
    np.testing.assert_allclose(Standard.of(merged).deviation, values.std(0), rtol=1e-13)


def test_manifest_names_slices_network_and_data(network, store):
    manifest = json.loads((store.folder / "manifest.json").read_text())
    assert manifest["extraction"]["slices"][5] == {"name": "p2-5", "patient": "p2", "label": "LGG", "subset": "train"}
    assert manifest["extraction"]["data"] == "0a" and manifest["extraction"]["weights"] == weights_hash(network)
    assert sorted(path.name for path in store.folder.iterdir()) == ["manifest.json", "shards"]


def test_weights_hash_sees_one_changed_weight():
    network = unet((16, 16), 1, (1, 1, 1, 1, 1))
    before = weights_hash(network)
    assert before == weights_hash(network)
    bias = network.get_layer("uconv1").weights[1]
    bias.assign(bias + 1e-6)
    assert before != weights_hash(network)


def test_progress_sums_to_the_slices_also_when_they_are_there(network, tmp_path):
    for _ in range(2):
        steps = []
        write(network, tmp_path / "store", progress=steps.append)
        assert sum(steps) == COUNT


# ---- interrupted, damaged, foreign ----


@pytest.mark.parametrize("after", [0, 1, 2, 3, 5])
def test_restart_after_a_kill_gives_the_bytes_of_an_uninterrupted_run(network, store, tmp_path, after):
    def killed(first):
        for number, images in enumerate(batches(first)):
            if number == after:
                raise KeyboardInterrupt
            yield images

    folder = tmp_path / "store"
    with pytest.raises(KeyboardInterrupt):
        write(network, folder, batches=killed)
    with pytest.raises(UserError, match="did not finish"):
        open_features(folder)
    firsts = []
    write(network, folder, batches=lambda first: firsts.append(first) or batches(first))
    assert firsts == [after // 2 * 4]  # whole shards of two batches are kept
    assert contents(folder) == contents(store.folder)


def test_journal_line_cut_by_a_kill_is_passed_over(network, store, tmp_path):
    def killed(first):
        yield from list(batches(first))[:4]
        raise KeyboardInterrupt

    folder = tmp_path / "store"
    with pytest.raises(KeyboardInterrupt):
        write(network, folder, batches=killed)
    journal = folder / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    write(network, folder)
    assert contents(folder) == contents(store.folder)


def test_finished_folder_is_not_computed_again(network, tmp_path):
    folder = tmp_path / "store"
    write(network, folder)
    before = contents(folder)
    write(network, folder, batches=lambda first: pytest.fail("asked for images"))
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda path: path.unlink(), "0001.npy is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "0001.npy has 2175 bytes, expected 2176"),
    ],
)
def test_damaged_shard_is_named_and_only_it_is_made_again(network, store, tmp_path, damage, sentence):
    folder = tmp_path / "store"
    write(network, folder)
    damage(folder / "shards" / "00001.npy")
    with pytest.raises(UserError, match=sentence):
        open_features(folder)
    with pytest.raises(UserError, match="the images ended"):
        write(network, folder, batches=lambda first: iter(()))
    with pytest.raises(UserError, match="did not finish"):
        open_features(folder)
    seen = []
    write(network, folder, batches=lambda first: (seen.append(images) or images for images in batches(first)))
    np.testing.assert_array_equal(np.concatenate(seen), IMAGES[4:8])
    assert contents(folder) == contents(store.folder)


def test_flipped_bit_is_found_by_verify_and_in_the_header_on_opening(network, tmp_path):
    store = write(network, tmp_path / "store")
    store.verify()
    path = store.folder / "shards" / "00002.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(UserError, match=r"0002\.npy is damaged"):
        open_features(store.folder).verify()
    path.write_bytes(whole.replace(b"<f4", b"<i4"))
    with pytest.raises(UserError, match=r"0002\.npy is damaged: its header"):
        open_features(store.folder)


def test_file_cut_while_it_is_read_is_named(network, tmp_path):
    store = write(network, tmp_path / "store")
    path = store.folder / "shards" / "00002.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"0002\.npy is cut short"):
        store.read([10])


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"block": "decoder2"}, "block: decoder3, not decoder2"),
        ({"dtype": "float16"}, "dtype: float32, not float16"),
        ({"data": "0b"}, "data: 0a, not 0b"),
        ({"slices": SLICES[::-1]}, "slices: others"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_other_features_in_the_folder_are_refused(network, tmp_path, changed, sentence, finished):
    def killed(first):
        yield from list(batches(first))[: 6 if finished else 3]
        if not finished:
            raise KeyboardInterrupt

    folder = tmp_path / "store"
    with nullcontext() if finished else pytest.raises(KeyboardInterrupt):
        write(network, folder, batches=killed)
    before = contents(folder)
    with pytest.raises(UserError, match=sentence):
        write(network, folder, **changed)
    assert contents(folder) == before


def test_another_network_is_refused(store):
    with pytest.raises(UserError, match=r"holds other features \(weights"):
        write(unet((16, 32), 1, (3, 5, 4, 6, 7)), store.folder)


def test_extraction_that_left_no_shard_may_begin_otherwise(network, tmp_path):
    with pytest.raises(UserError, match="the images ended"):
        write(network, tmp_path / "store", batches=lambda first: iter(()))
    assert write(network, tmp_path / "store", "encoder5").extraction.block == "encoder5"


@pytest.fixture
def steep():
    """A network whose weights are positive, so that no rectifier cuts off what a large image or weight gives."""
    network = unet((16, 32), 1, (1, 1, 1, 1, 1))
    for weight in network.weights:
        weight.assign(np.full(weight.shape, 1.0))
    return network


def test_float16_overflow_names_the_slice_and_float32(steep, tmp_path):
    def large(first):
        for images in batches(first):
            yield np.where(images == IMAGES[5, 3, 3, 0], np.float32(1e6), images)

    sentence = "slice p2-5: the features of encoder1 reach [0-9.e+]*, float16 holds no more than 65504; extract them as"
    with pytest.raises(UserError, match=sentence):
        write(steep, tmp_path / "half", "encoder1", batches=large, dtype="float16")
    assert [path.name for path in (tmp_path / "half" / "shards").iterdir()] == ["00000.npy"]
    assert write(steep, tmp_path / "single", "encoder1", batches=large).read([5]).max() > 65504


@pytest.mark.parametrize(
    ("value", "sentence"),
    [(np.nan, "the image has values that are not finite"), (3e38, "the features of decoder3 are not finite")],
)
def test_what_is_not_finite_is_refused(steep, tmp_path, value, sentence):
    def spoilt(first):
        for images in batches(first):
            yield np.where(images == IMAGES[5, 3, 3, 0], np.float32(value), images)

    with pytest.raises(UserError, match=f"slice p2-5: {sentence}"):
        write(steep, tmp_path / "store", batches=spoilt)


def test_images_that_do_not_match_the_slices_are_refused(network, tmp_path):
    with pytest.raises(UserError, match=r"slice p4-8: .*the images ended"):
        write(network, tmp_path / "a", batches=lambda first: list(batches(first))[:4])
    for _ in range(2):
        with pytest.raises(UserError, match="more images than the 11 slices"):
            write(network, tmp_path / "b", batches=lambda first: [*batches(first), IMAGES[:2]])
    with pytest.raises(UserError, match=r"expected images of shape \(2, 16, 32, 1\), an array \(2, 32, 16, 1\) came"):
        write(network, tmp_path / "c", batches=lambda first: (each.swapaxes(1, 2) for each in batches(first)))


def test_empty_input_unknown_block_and_foreign_folders_are_refused(network, tmp_path):
    with pytest.raises(UserError, match="there is no slice"):
        write(network, tmp_path / "store", slices=[])
    with pytest.raises(UserError, match="no block 'decoder5'; did you mean"):
        extract(
            network,
            "decoder5",
            batches,
            tmp_path / "store",
            slices=SLICES,
            batch_size=2,
            dtype="float32",
            data="",
            origin="",
        )
    assert not (tmp_path / "store").exists()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="holds other files"):
        write(network, tmp_path)
    with pytest.raises(UserError, match="is a file"):
        write(network, tmp_path / "notes.txt")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "not readable as JSON"),
        ('{"kind": "enlarged"}', "no manifest of features"),
        ('{"kind": "features", "format": 0}', "expected format 1"),
        ('{"kind": "features", "format": 1, "shards": []}', "'extraction' is missing"),
    ],
)
def test_unusable_manifests_are_refused(tmp_path, text, sentence):
    with pytest.raises(UserError, match=r"no manifest\.json of features; expected a folder made by"):
        open_features(tmp_path)
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=sentence):
        open_features(tmp_path)


def test_manifest_that_lacks_a_shard_is_refused(network, tmp_path):
    path = write(network, tmp_path / "store").folder / "manifest.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"shards": content["shards"][:-1]}))
    with pytest.raises(UserError, match="does not name the shards of all slices"):
        open_features(path.parent)


# ---- in which order it is read ----


def taken(dataset, steps):
    """The first batches: their slices, and their features."""
    found = list(dataset.take(steps).as_numpy_iterator())
    return [batch["index"].tolist() for batch in found], [batch["features"] for batch in found]


def test_batches_hold_the_features_of_their_indices(network, store):
    expected = given(network)
    for order, values in zip(*taken(batches_of(store, np.arange(COUNT), 4, 1), 6), strict=True):
        np.testing.assert_array_equal(values, expected[order])


def test_every_epoch_takes_each_chosen_slice_once_in_another_order(store):
    train = store.indices("train")
    order, _ = taken(batches_of(store, train, 3, 1), 6)
    epochs = [np.concatenate(order[:3]).tolist(), np.concatenate(order[3:]).tolist()]
    assert [sorted(epoch) for epoch in epochs] == [train.tolist()] * 2
    assert epochs[0] != epochs[1]


def test_order_is_a_function_of_the_seed_alone(store):
    everything = np.arange(COUNT)
    first, _ = taken(batches_of(store, everything, 4, 7), 9)
    tf.random.set_seed(1)
    np.random.seed(1)
    assert taken(batches_of(store, everything, 4, 7), 9)[0] == first
    assert taken(batches_of(store, everything, 4, 8), 9)[0] != first


def test_resuming_in_mid_epoch_continues_identically(store):
    everything = np.arange(COUNT)
    order, values = taken(batches_of(store, everything, 4, 3), 9)
    resumed_order, resumed = taken(batches_of(store, everything, 4, 3, first_epoch=1, skip=2), 4)
    assert resumed_order == order[5:]
    for own, uninterrupted in zip(resumed, values[5:], strict=True):
        np.testing.assert_array_equal(own, uninterrupted)


def test_batches_that_are_skipped_are_not_read(store, monkeypatch):
    order, _ = taken(batches_of(store, np.arange(COUNT), 1, 3), 3)
    asked, read = [], stores.FeatureStore.read
    monkeypatch.setattr(stores.FeatureStore, "read", lambda self, rows: asked.extend(rows) or read(self, rows))
    taken(batches_of(store, np.arange(COUNT), 1, 3, skip=2), 1)
    assert order[2][0] in asked and not {order[0][0], order[1][0]} & {*asked}


def test_remainder_is_dropped_and_shapes_are_known(store):
    dataset = batches_of(store, np.arange(COUNT), 4, 1, drop_remainder=True)
    assert [len(order) for order in taken(dataset, 5)[0]] == [4] * 5
    assert dataset.element_spec["features"].shape == (4, 4, 8, 4)


def test_batches_in_order(network, store):
    order, values = taken(batches_in_order(store, np.array([9, 0, 4, 2, 1]), 2), 9)
    assert order == [[9, 0], [4, 2], [1]]
    np.testing.assert_array_equal(np.concatenate(values), given(network)[[9, 0, 4, 2, 1]])


def test_selection_by_subset_and_class(store):
    assert store.indices().tolist() == list(range(COUNT))
    assert store.indices("train", "LGG").tolist() == [1, 5]
    assert store.indices("validation").tolist() == [7, 8]
    with pytest.raises(UserError, match="no slice of subset 'tests'; did you mean 'test'"):
        store.indices("tests")
    with pytest.raises(UserError, match=r"no slice of label 'IV'; .*valid: HGG, LGG"):
        store.indices(label="IV")
    for read in (lambda: batches_of(store, np.array([]), 2, 0), lambda: batches_in_order(store, np.array([]), 2)):
        with pytest.raises(UserError, match="none of its slices was chosen"):
            read()


# ---- memory ----

SIDE, LARGE = 64, 48  # slices of 64x64x32 float32: half a megabyte, a batch one, all of them 24, in one shard


class Followed(np.ndarray):
    """An array that a set of weak references can hold."""

    def __hash__(self):
        return id(self)


class Expanding:
    """Stands for the network: its features are NumPy's, so that their memory is counted."""

    input_shape, output_shape = (None, 16, 32, 1), (None, SIDE, SIDE, 32)

    def __init__(self):
        self.living, self.most = weakref.WeakSet(), 0

    def predict_on_batch(self, images):
        values = np.full((len(images), *self.output_shape[1:]), images.flat[0]).view(Followed)
        self.living.add(values)
        self.most = max(self.most, len(self.living))
        return values


@pytest.fixture
def expanding(monkeypatch):
    part = Expanding()
    monkeypatch.setattr(extraction, "features", lambda network, block: part)
    return part


def write_large(network, folder):
    slices = [SLICES[0].model_copy(update={"name": str(i)}) for i in range(LARGE)]
    images = (np.full((BATCH, 16, 32, 1), i, np.float32) for i in range(LARGE // BATCH))
    known = {"slices": slices, "batch_size": BATCH, "dtype": "float32", "data": "", "origin": ""}
    return extract(network, "encoder1", lambda first: images, folder, **known)


def peak_of(work):
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_extraction_holds_two_batches_at_most(network, expanding, tmp_path):
    batch = BATCH * SIDE * SIDE * 32 * 4
    # A slice in float64 is a batch's bytes again.
    assert peak_of(lambda: write_large(network, tmp_path / "store")) < 5 * batch
    assert expanding.most <= 2


def test_no_more_is_read_ahead_than_said(store, monkeypatch):
    asked, read = [], stores.FeatureStore.read
    monkeypatch.setattr(stores.FeatureStore, "read", lambda self, rows: asked.append(rows) or read(self, rows))
    iterator = iter(batches_of(store, store.indices(), 1, 0))
    next(iterator)
    time.sleep(0.5)  # for all that would be read
    assert len(asked) <= READERS + AHEAD + 1
