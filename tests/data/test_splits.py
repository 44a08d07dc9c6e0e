import pytest

from kerasgan.data.settings import SplitSettings
from kerasgan.data.splits import check_disjoint, partition_patients
from kerasgan.errors import UserError


def settings(**changes):
    return SplitSettings(**dict(train=0.6, validation=0.2, test=0.2, partitions=5, stratify="idh", seed=1) | changes)


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
