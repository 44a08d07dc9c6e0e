"""Features on disk: what is written, and what an interrupted or damaged folder becomes."""

import json
from contextlib import nullcontext

import numpy as np
import pytest
import tensorflow as tf
from extracting import COUNT, IMAGES, SLICES, batches, contents, given, narrow_network, write

from kerasgan.errors import UserError
from kerasgan.papers.featuregan.extraction import extract, weights_hash
from kerasgan.papers.featuregan.reading import batches_in_order
from kerasgan.papers.featuregan.standardisation import Moments, Standard
from kerasgan.papers.featuregan.store import open_features
from kerasgan.papers.featuregan.unet import BLOCKS, unet


@pytest.fixture(scope="module")
def network():
    return narrow_network()


@pytest.fixture(scope="module")
def store(network, tmp_path_factory):
    """Not to be written to."""
    return write(network, tmp_path_factory.mktemp("features") / "store")


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


def test_flipped_bit_is_mended_by_extracting_again_and_found_in_the_header_on_opening(network, tmp_path):
    store = write(network, tmp_path / "store")
    path = store.folder / "shards" / "00002.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    seen = []
    write(network, store.folder, batches=lambda first: (seen.append(images) or images for images in batches(first)))
    assert path.read_bytes() == whole
    np.testing.assert_array_equal(np.concatenate(seen), IMAGES[8:])
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
