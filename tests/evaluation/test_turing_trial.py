"""The Visual Turing Test on disk: which images, in which order, of what."""

import re
from collections import Counter

import numpy as np
import pytest
from turing_rater import SEQUENCES, images, new_trial

from kerasgan.data.imagesets import ImageSet
from kerasgan.errors import UserError
from kerasgan.evaluation.turing.trial import balanced, create_trial, open_trial


@pytest.fixture
def trial(tmp_path):
    return new_trial(tmp_path / "results")


def test_the_order_is_random_and_the_same_for_the_same_test_and_name(tmp_path):
    trial = new_trial(tmp_path / "a", count=10)
    order = trial.order("anna")
    assert sorted(order) == sorted(item.id for item in trial.items)
    assert order == open_trial(tmp_path / "a").order("anna") != trial.order("ben")
    again = new_trial(tmp_path / "a", count=10)
    assert again.order("anna") == order, "the same command goes on with it"


def test_the_order_does_not_follow_from_seed_and_name(tmp_path):
    one, two = (
        [own.number[image] for image in own.order("anna")]
        for own in (new_trial(tmp_path / "a", count=10), new_trial(tmp_path / "b", count=10))
    )
    assert one != two, "real images come first in every test, so that places would tell them"


def test_ids_are_random_and_say_nothing(tmp_path):
    one, two = new_trial(tmp_path / "a"), new_trial(tmp_path / "b")
    assert not set(one.number) & set(two.number), "they do not follow from seed or pixels"
    assert all(re.fullmatch("[0-9a-f]{16}", image) for image in one.number)


def test_pixels_have_eight_bits_of_the_whole_range(tmp_path):
    grey = np.linspace(-1, 1, 256, dtype=np.float32).reshape(1, 16, 16)
    one = ImageSet(grey, ("a",), ("a",), ("",), "real")
    two = ImageSet(grey[:, ::-1] * 2, ("b",), ("b",), ("",), "synthetic")
    trial = create_trial(tmp_path / "results", one, two, 1, 1)
    assert trial.pixels.dtype == np.uint8
    assert trial.pixels[0].ravel().tolist() == list(range(256))
    assert (trial.pixels[1].min(), trial.pixels[1].max()) == (0, 255), "beyond [-1, 1] is clipped"


def test_sequences_come_in_equal_shares():
    drawn = balanced(images(80, 1, sequences=SEQUENCES), 10, seed=3)
    assert sorted(Counter(drawn.sequences).values()) == [2, 2, 3, 3]
    assert Counter(balanced(images(80, 1, sequences=SEQUENCES), 8, seed=3).sequences) == dict.fromkeys(SEQUENCES, 2)
    # Few of one sequence among many of another
    mixed = images(40, 1, sequences=("t1",) * 9 + ("t2",))
    assert Counter(balanced(mixed, 6, seed=1).sequences) == {"t1": 3, "t2": 3}


def test_the_odd_image_goes_to_a_sequence_by_seed():
    gains = {max(Counter(balanced(images(80, 1, sequences=SEQUENCES), 5, s).sequences).items(), key=lambda p: p[1])[0]
             for s in range(30)}  # fmt: skip
    assert gains == set(SEQUENCES)


def test_images_come_from_as_many_patients_as_there_are():
    drawn = balanced(images(80, 1, patients=5), 10, seed=1)
    assert set(Counter(drawn.groups).values()) == {2}
    assert len(set(drawn.names)) == 10


def test_too_few_images(tmp_path):
    with pytest.raises(UserError, match="hospital has 20 images, 21 are needed; give a smaller --count"):
        new_trial(tmp_path / "results", count=21)
    few = images(20, 1, origin="hospital", sequences=("t1",) * 19 + ("t2",))
    with pytest.raises(UserError, match="hospital has 1 images of t2, 2 are needed"):
        create_trial(tmp_path / "results", few, images(20, 2), 4, 1)
    assert not (tmp_path / "results").exists()


def test_sizes_that_differ(tmp_path):
    with pytest.raises(UserError, match=r"real images have 8x8 pixels, the synthetic ones 4x4.*--size"):
        create_trial(tmp_path / "results", images(5, 1), images(5, 2, size=4), 2, 1)


def test_sequences_that_differ(tmp_path):
    with pytest.raises(UserError, match=r"real images are of flair, t1, t1e, t2, the synthetic ones of t1.*--sequence"):
        create_trial(tmp_path / "r", images(8, 1, sequences=SEQUENCES), images(8, 2, sequences=("t1",)), 4, 1)


def test_an_image_that_is_in_both_sets(tmp_path):
    with pytest.raises(UserError, match="hospital and network share an image"):
        create_trial(tmp_path / "r", images(3, 1, origin="hospital"), images(3, 1, origin="network"), 3, 1)


def test_the_same_test_is_gone_on_with(trial):
    again = new_trial(trial.folder)
    assert again.items == trial.items and again.key == trial.key


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"seed": 2}, "of seed 1 instead of 2"),
        ({"count": 4}, "of number of images 6 instead of 8"),
        ({"real": 9}, "a test of other images"),
    ],
)
def test_the_folder_of_another_test(trial, other, sentence):
    before = (trial.folder / "trial.json").read_bytes()
    with pytest.raises(UserError, match=sentence):
        new_trial(trial.folder, **other)
    assert (trial.folder / "trial.json").read_bytes() == before


def test_the_folder_of_a_test_of_another_size(trial):
    sets = (images(20, 1, size=4, origin="hospital"), images(20, 2, size=4, origin="network"))
    with pytest.raises(UserError, match="of size 8x8 instead of 4x4"):
        create_trial(trial.folder, *sets, 3, 1)


def test_what_it_is_made_from_is_kept(tmp_path):
    sources = {"generator": "ab", "size": 8}
    create_trial(tmp_path / "r", images(4, 1), images(4, 2), 2, 1, sources)
    assert open_trial(tmp_path / "r").made_from == sources


def test_a_folder_of_something_else_is_kept(tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(UserError, match="holds no Visual Turing Test"):
        new_trial(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_damaged_folders(trial):
    np.save(trial.folder / "images.npy", trial.pixels[::-1])
    with pytest.raises(UserError, match="other images than"):
        open_trial(trial.folder)
    (trial.folder / "images.npy").write_bytes(b"nothing")
    with pytest.raises(UserError, match="is damaged"):
        open_trial(trial.folder)
    (trial.folder / "trial.json").write_text('{"items": 3}')
    with pytest.raises(UserError, match="is damaged"):
        open_trial(trial.folder)
