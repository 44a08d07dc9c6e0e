import hashlib
import itertools
import json

import numpy as np
import pytest

from kerasgan.data.settings import SplitSettings
from kerasgan.data.splits import SUBSETS, check_disjoint, partition_patients
from kerasgan.errors import UserError


def settings(**changes):
    shares = dict(train=0.6, validation=0.2, test=0.2)
    return SplitSettings(**dict(shares, scheme="random", partitions=5, stratify="idh", seed=1) | changes)


def test_counts_of_ge_2020_table_1b():
    classes = {f"p{i:03}": "mutant" if i < 55 else "wildtype" for i in range(167)}
    for partition in partition_patients(classes, settings()):
        counts = {
            subset: (sum(classes[p] == "mutant" for p in patients), sum(classes[p] == "wildtype" for p in patients))
            for subset, patients in partition.items()
        }
        assert counts == {"train": (33, 66), "validation": (11, 23), "test": (11, 23)}


def test_every_patient_is_in_exactly_one_subset():
    classes = {f"p{i}": "ab"[i % 2] for i in range(31)}
    for partition in partition_patients(classes, settings()):
        assert sorted(p for patients in partition.values() for p in patients) == sorted(classes)
        check_disjoint(partition, "here")


def test_partitions_differ_and_depend_on_the_seed_and_number_alone():
    classes = {f"p{i}": "all" for i in range(20)}
    five, seven = partition_patients(classes, settings()), partition_patients(classes, settings(partitions=7))
    assert seven[:5] == five
    assert len({tuple(partition["test"]) for partition in seven}) > 1
    assert partition_patients(classes, settings(seed=2)) != five
    assert partition_patients(dict(reversed(classes.items())), settings()) == five, "the order of patients is no matter"


def test_too_few_patients_of_a_class():
    with pytest.raises(UserError, match="2 patients of class 'rare' are too few"):
        partition_patients({"a": "rare", "b": "rare", **{f"p{i}": "all" for i in range(9)}}, settings())


def test_a_leak_is_an_error_that_names_the_patient():
    with pytest.raises(UserError, match="patient b is in train and in test"):
        check_disjoint({"train": ["a", "b"], "validation": ["c"], "test": ["b"]}, "manifest.json")


def test_fractions_must_add_up():
    with pytest.raises(ValueError, match="add up to 1"):
        settings(test=0.3)


def test_folds_test_every_patient_once_and_share_out_each_class():
    classes = {f"p{i:03}": "mutant" if i < 23 else "wildtype" for i in range(64)}
    partitions = partition_patients(classes, settings(scheme="folds"))
    tested = [patient for partition in partitions for patient in partition["test"]]
    assert sorted(tested) == sorted(classes)
    for partition in partitions:
        check_disjoint(partition, "folds")
        assert sorted(p for subset in SUBSETS for p in partition[subset]) == sorted(classes)
        assert sum(classes[p] == "mutant" for p in partition["test"]) in (4, 5)
        assert len(partition["test"]) in (12, 13), "sizes differ by one at most"
        assert sum(classes[p] == "mutant" for p in partition["validation"]) == 5
    assert partitions == partition_patients(classes, settings(scheme="folds"))
    assert partitions != partition_patients(classes, settings(scheme="folds", seed=2))


def test_random_partitions_are_what_they_were():
    classes = {f"p{i}": "a" for i in range(6)}
    (first, *_) = partition_patients(classes, settings())
    assert first == {"train": ["p2", "p5"], "validation": ["p1", "p4"], "test": ["p0", "p3"]}


def test_random_partitions_of_two_classes_are_what_they_were_to_the_byte():
    """Hash of the draws before there were folds: 55 and 112 patients, five partitions."""
    classes = {f"p{i:03}": "mutant" if i < 55 else "wildtype" for i in range(167)}
    text = json.dumps(partition_patients(classes, settings()))
    assert (
        hashlib.sha256(text.encode()).hexdigest() == "e3293d6bdc2abf2522cf7fa024df165d3681f699e19bd414c02806cddad3e1ed"
    )


@pytest.mark.parametrize(("folds", "share"), [(2, 0.5), (3, 0.333), (5, 0.2), (7, 0.143), (10, 0.1)])
def test_folds_of_any_classes_are_disjoint_complete_and_equal(folds, share):
    rng = np.random.default_rng(folds)
    for sizes in rng.integers(3 * folds, 40 + 3 * folds, (20, 3)):
        names = list(itertools.chain.from_iterable([name] * size for name, size in zip("abc", sizes, strict=True)))
        classes = {f"p{i:03}": name for i, name in enumerate(rng.permutation(names))}
        chosen = settings(scheme="folds", partitions=folds, test=share, validation=0.2, train=round(0.8 - share, 6))
        partitions = partition_patients(classes, chosen)
        tests = [partition["test"] for partition in partitions]
        assert sorted(itertools.chain.from_iterable(tests)) == sorted(classes)
        assert np.ptp([len(test) for test in tests]) <= 1
        for name, size in zip("abc", sizes, strict=True):
            assert np.ptp([sum(classes[p] == name for p in test) for test in tests]) <= 1
            for partition in partitions:
                assert sum(classes[p] == name for p in partition["validation"]) == -(-size // 5)
        for partition in partitions:
            check_disjoint(partition, "folds")
            assert set().union(*partition.values()) == set(classes)


def test_folds_do_not_depend_on_the_order_of_patients():
    classes = {f"p{i}": "ab"[i % 2] for i in range(20)}
    chosen = settings(scheme="folds")
    assert partition_patients(dict(reversed(classes.items())), chosen) == partition_patients(classes, chosen)


def test_folds_need_two_partitions():
    with pytest.raises(ValueError, match="at least 2 partitions"):
        settings(scheme="folds", partitions=1, train=1e-8, validation=1e-8, test=1 - 2e-8)


def test_folds_need_their_share_and_enough_patients():
    with pytest.raises(ValueError, match=r"test must be 1 / partitions: 0.2 for 5"):
        settings(scheme="folds", test=0.3, train=0.5)
    with pytest.raises(UserError, match="4 patients of class 'a' are too few for 5 folds"):
        partition_patients({f"p{i}": "a" for i in range(4)}, settings(scheme="folds"))
