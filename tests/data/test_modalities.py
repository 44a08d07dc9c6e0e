import pytest

from kerasgan.data.modalities import ALIASES, DISPLAY, MODALITIES, SEGMENTATION_NAMES, canonical, kind_of_file
from kerasgan.errors import UserError


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("t1 T1 T1w t1n T1_pre T1-native", "t1"),
        ("t1e T1CE t1c t1gd T1Gd t1post T1_post T1-Gd t1+c", "t1e"),
        ("t2 T2w t2W T2", "t2"),
        ("flair FLAIR t2f T2F T2-FLAIR t2_flair", "flair"),
    ],
)
def test_every_spelling_finds_its_modality(names, expected):
    assert {canonical(name) for name in names.split()} == {expected}


def test_canonical_names_stand_for_themselves_in_a_fixed_order():
    assert MODALITIES == ("t1", "t1e", "t2", "flair")
    assert tuple(map(canonical, MODALITIES)) == MODALITIES


@pytest.mark.parametrize(("name", "guess"), [("flare", "flair"), ("T1ee", "t1e"), ("t22", "t2")])
def test_unknown_modality_suggests_the_nearest(name, guess):
    with pytest.raises(UserError, match=f"unknown modality '{name}'.*did you mean '{guess}'"):
        canonical(name)


@pytest.mark.parametrize("name", ["seg", "", "ct", "t1x"])
def test_what_is_no_modality_is_refused(name):
    with pytest.raises(UserError, match="valid: t1, t1e, t2, flair"):
        canonical(name)


def test_no_alias_means_two_things():
    aliases = [alias for names in ALIASES.values() for alias in names] + list(SEGMENTATION_NAMES)
    assert len(aliases) == len(set(aliases))


def test_display_names_cover_all_modalities():
    assert [DISPLAY[name] for name in MODALITIES] == ["T1", "T1e", "T2", "FLAIR"]


@pytest.mark.parametrize(
    ("stem", "kind"),
    [
        ("Brats18_2013_2_1_t1ce", "t1e"),
        ("BraTS2021_01476_t1", "t1"),
        ("BraTS-GLI-00000-000-t2W", "t2"),
        ("BraTS-GLI-00000-000-t2f", "flair"),
        ("BraTS-GLI-00000-000-t1n", "t1"),
        ("BraTS-GLI-00000-000-seg", "segmentation"),
        ("W39_1998.09.19_Segm", "segmentation"),
        ("VSD.Brain.XX.O.MR_T1c.54513", "t1e"),
        ("VSD.Brain_3more.XX.O.OT.54517", "segmentation"),
        ("TCGA-02-0003_1997.06.08_t1Gd", "t1e"),
        ("TCGA-02-0003_1997.06.08_GlistrBoost_ManuallyCorrected", "segmentation"),
        ("case_t2_flair", "flair"),
        ("case_FLAIR_T2", "flair"),
        ("case_post_T1", "t1e"),
        ("sub-01_ce-gadolinium_T1w", "t1e"),
        ("case_t1_brain_mask", None),
        ("BraTS-GLI-00000-000", None),
        ("", None),
    ],
)
def test_the_end_of_a_file_name_tells_its_kind(stem, kind):
    assert kind_of_file(stem) == kind
