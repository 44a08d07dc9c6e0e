"""S1 to S5 of Ge 2020, Figure 6: which scans a case trains on, and which synthetic patients it makes."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from kerasgan.data.pipeline import arrays_of
from kerasgan.data.prepare import Manifest, Prepared, PreparedVisit, open_prepared
from kerasgan.errors import UserError
from kerasgan.papers import settings_of
from kerasgan.papers.pairwise import cases, enlarging

NAMES = ("t1", "t1e", "t2", "flair")


def pretend(train: int, held_out: int = 4, modalities=NAMES, **missing: tuple[str, ...]) -> Prepared:
    """A prepared set that exists as a manifest alone: six slices of each of its patients."""
    settings = settings_of("pairwise")
    patients = [f"p{number:03}" for number in range(train + 2 * held_out)]
    visits = [
        PreparedVisit(
            name=patient,
            patient=patient,
            visit="",
            labels={"idh": "mutant" if number % 3 == 0 else "wildtype"},
            fingerprint="",
            sources={},
            ranges={name: (0.0, 1.0) for name in modalities if name not in missing.get(patient, ())},
            shape=(9, 9, 9),
            affine=np.eye(4).tolist(),
            orientation="RAS",
            slices=[("axial", index, 5) for index in range(6)],
            size=1,
        )
        for number, patient in enumerate(patients)
    ]
    subsets = {
        "train": patients[:train],
        "validation": patients[train : train + held_out],
        "test": patients[train + held_out :],
    }
    manifest = Manifest(
        format=1,
        origin="pretended",
        slicing=settings.data,
        splitting=settings.split,
        stratified_by="idh",
        partitions=[subsets] * 5,
        visits=visits,
    )
    return Prepared(Path("pretended"), manifest)


def settings(*overrides: str):
    return settings_of("pairwise", overrides=overrides)


def test_case_a_makes_the_papers_297_fake_patients_and_1782_slices():
    plans = enlarging.plan(pretend(99), settings())
    assert Counter(plan.subset for plan in plans) == {"S2": 297}
    by_class = Counter(plan.visit.labels["idh"] for plan in plans for _ in plan.visit.slices)
    assert by_class == {"mutant": 594, "wildtype": 1188}, "Table 1(b); 1782 in all"
    assert len({plan.name for plan in plans}) == 297


def test_case_b_removes_24_scans_and_makes_225_fake_patients_of_the_75_complete_ones():
    chosen, prepared = settings("study.case=b"), pretend(99)
    removed = cases.removed_scans(prepared, chosen)
    assert Counter(removed.values()) == dict.fromkeys(NAMES, 6)
    plans = enlarging.plan(prepared, chosen)
    assert Counter(plan.subset for plan in plans) == {"S5": 225, "S4": 24}
    assert sum(len(plan.visit.slices) for plan in plans if plan.subset == "S5") == 1350
    assert {plan.visit.patient for plan in plans if plan.subset == "S4"} == removed.keys()
    assert len(cases.training_visits(prepared, chosen, NAMES)) == 75
    assert len(cases.training_visits(prepared, chosen, ("t1", "t2"))) == 99 - 12


def test_each_fake_patient_uses_every_modality_once_removed_and_all_twelve_directions():
    plans = enlarging.plan(pretend(2), settings())
    assert len(enlarging.directions(plans)) == 12
    for plan in plans:
        assert set(plan.made) == set(NAMES)
        assert all(source != target for target, source in plan.made.items())
    first = [plan.made for plan in plans if plan.visit.name == "p000"]
    assert first[0] == {"t1": "t1e", "t1e": "t1", "t2": "t1", "flair": "t1"}
    assert first[2] == {"t1": "flair", "t1e": "flair", "t2": "flair", "flair": "t2"}


def test_missing_scans_are_made_by_the_papers_pair_policy():
    prepared = pretend(20, p000=("t1",), p001=("t2",), p002=("t1", "t1e"))
    plans = enlarging.plan(prepared, settings("study.case=b"))
    by_patient = {plan.visit.patient: dict(plan.made) for plan in plans if plan.subset == "S4"}
    assert by_patient["p000"] == {"t1": "t1e"}
    assert by_patient["p001"] == {"t2": "flair"}
    assert by_patient["p002"] == {"t1": "flair", "t1e": "flair"}
    removed = cases.removed_scans(prepared, settings("study.case=b"))
    assert not removed.keys() & {"p000", "p001", "p002"}, "whoever lacks a scan already loses no other"
    assert by_patient.keys() == removed.keys() | {"p000", "p001", "p002"}


def test_what_is_removed_depends_on_the_partition_and_the_splits_seed_alone():
    prepared = pretend(99)
    first = cases.removed_scans(prepared, settings("study.case=b"))
    assert first == cases.removed_scans(prepared, settings("study.case=b", "training.seed=9"))
    assert first != cases.removed_scans(prepared, settings("study.case=b", "study.partition=2"))
    assert first != cases.removed_scans(prepared, settings("study.case=b", "split.seed=9"))


def test_modalities_follow_the_cohort():
    three = pretend(9, modalities=("t1", "t1e", "flair"))
    assert cases.modalities_of(three, settings()) == ("t1", "t1e", "flair")
    assert len(enlarging.plan(three, settings())) == 18
    with pytest.raises(UserError, match=r"at least two of classifier\.modalities"):
        cases.modalities_of(pretend(9, modalities=("flair",)), settings())


def test_too_few_patients_for_case_b():
    with pytest.raises(UserError, match="none of 8 training patients"):
        cases.removed_scans(pretend(8), settings("study.case=b"))
    few = cases.removed_scans(pretend(6), settings("study.case=b", "study.removed=0.25"))
    assert Counter(few.values()) == dict.fromkeys(NAMES, 1), "as many of each modality, no patient two"


@pytest.fixture(scope="module")
def enlarged(prepared_folder, small_overrides, tmp_path_factory):
    """Case b of the tiny cohort, "translated" by functions that leave a mark of their direction."""
    chosen = settings_of("pairwise", overrides=[*small_overrides, "study.case=b"])
    prepared = open_prepared(prepared_folder)
    plans = enlarging.plan(prepared, chosen)
    marks = {pair: 0.05 * number for number, pair in enumerate(enlarging.directions(plans))}
    translate = {pair: (lambda images, mark=mark: np.clip(images + mark, -1, 1)) for pair, mark in marks.items()}
    folder = tmp_path_factory.mktemp("enlarged")
    visits = list(enlarging.enlarge(prepared, plans, translate, NAMES, folder))
    manifest = enlarging.EnlargedManifest(
        format=enlarging.FORMAT,
        kind="enlarged",
        origin="tiny",
        case="b",
        partition=1,
        data=prepared.hash,
        slicing=prepared.manifest.slicing,
        modalities=list(NAMES),
        removed=cases.removed_scans(prepared, chosen),
        generators={},
        visits=visits,
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    return folder, prepared, marks


def test_slices_are_those_of_the_generators_and_the_rest_is_real(enlarged):
    folder, prepared, marks = enlarged
    found = enlarging.open_enlarged(folder)
    assert {visit.subset for visit in found.manifest.visits} == {"S4", "S5"}
    by_name = {visit.name: visit for visit in prepared.manifest.visits}
    for visit in found.manifest.visits:
        made = arrays_of(found, [visit], NAMES)
        source = by_name[visit.source]
        real = arrays_of(prepared, [source], sorted(source.ranges))
        np.testing.assert_array_equal(made["tumour"], real["tumour"])
        for name in NAMES:
            wanted = real[visit.made[name]] + marks[visit.made[name], name] if name in visit.made else real[name]
            np.testing.assert_allclose(made[name], np.clip(wanted, -1, 1), atol=4e-5)
        assert visit.labels == source.labels


def test_a_damaged_or_foreign_folder_is_refused(enlarged, prepared_folder, tmp_path):
    folder, *_ = enlarged
    with pytest.raises(UserError, match=r"no manifest\.json"):
        enlarging.open_enlarged(tmp_path)
    with pytest.raises(UserError, match="is no enlarged set"):
        enlarging.open_enlarged(prepared_folder)
    content = json.loads((folder / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"the shard of .* is missing"):
        enlarging.open_enlarged(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps(content | {"format": 0}))
    with pytest.raises(UserError, match="expected format"):
        enlarging.open_enlarged(tmp_path)
