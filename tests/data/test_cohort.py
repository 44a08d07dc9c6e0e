import os

import pytest

from kerasgan.data.cohort import Cohort, Visit, merge_labels, read_cohort, write_cohort
from kerasgan.errors import UserError


@pytest.fixture
def folder(tmp_path):
    for name in ("a_t1.nii.gz", "a_t1ce.nii.gz", "a_seg.nii.gz", "b_t1.nii.gz", "all.nii.gz"):
        (tmp_path / name).write_bytes(b"not read here")
    return tmp_path


def csv_file(folder, text, name="cohort.csv", **how):
    (folder / name).write_text(text, encoding="utf-8", **how)
    return folder / name


def cohort_of(*patients):
    return Cohort(tuple(Visit(name) for name in patients), "test")


# ---- visits ---------------------------------------------------------------------------------------------------------


def test_a_visit_is_named_by_patient_and_visit():
    assert Visit("p1").name == "p1"
    assert Visit("p1", "002").name == "p1_002"


@pytest.mark.parametrize("name", ["../p1", "a/b", "a\\b", ".hidden", "..", "C:p", "a\nb", "p1 "])
@pytest.mark.parametrize("what", ["patient", "visit"])
def test_ids_that_are_no_file_names_are_refused(name, what):
    with pytest.raises(UserError, match=f"the {what} id .* cannot be part of a file name"):
        Visit(**({"patient": "p1"} | {what: name}))


def test_a_visit_needs_a_patient():
    with pytest.raises(UserError, match="no patient id"):
        Visit("")


# ---- reading --------------------------------------------------------------------------------------------------------


def test_a_hand_written_table_is_read(folder):
    path = csv_file(
        folder,
        "# origin: two patients\n\nPatient ID,Session,T1w,T1Gd,T2-FLAIR,seg,idh\n"
        "a,pre,a_t1.nii.gz,a_t1ce.nii.gz,,a_seg.nii.gz,mutant\n"
        "\nb,,b_t1.nii.gz,,all.nii.gz#0,,\n",
    )
    cohort = read_cohort(path)
    first, second = cohort.visits
    images = {"t1": str(folder / "a_t1.nii.gz"), "t1e": str(folder / "a_t1ce.nii.gz")}
    assert first == Visit("a", "pre", images, str(folder / "a_seg.nii.gz"), {"idh": "mutant"})
    assert second == Visit("b", "", {"t1": str(folder / "b_t1.nii.gz"), "flair": f"{folder / 'all.nii.gz'}#0"})
    assert cohort.origin == "two patients"
    assert cohort.label_columns == ("idh",)


def test_paths_are_relative_to_the_table_not_to_the_caller(folder, monkeypatch):
    path = csv_file(folder, "patient,t1\na,a_t1.nii.gz\n")
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert read_cohort(f"..{os.sep}cohort.csv").visits[0].images["t1"] == str(folder / path.with_name("a_t1.nii.gz"))


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_spreadsheet_exports_are_read(folder, delimiter):
    text = "patient,t1,grade\na,a_t1.nii.gz,HGG\n".replace(",", delimiter)
    path = folder / "cohort.csv"
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    cohort = read_cohort(path)
    assert cohort.visits[0].labels == {"grade": "HGG"}
    assert cohort.origin == "cohort file cohort.csv"


def test_written_cohort_reads_back_the_same(folder):
    outside = folder.parent / f"{folder.name}_outside.nii.gz"
    outside.write_bytes(b"")
    images = {"t1": str(folder / "a_t1.nii.gz"), "t2": f"{folder / 'all.nii.gz'}#3", "flair": str(outside)}
    cohort = Cohort(
        (
            Visit("a", "1", images, str(folder / "a_seg.nii.gz"), {"site": 'Müller, "Nord"'}),
            Visit("b", labels={"idh": "wildtype"}),
        ),
        "origin with, a comma",
    )
    write_cohort(cohort, folder / "new.csv")
    assert read_cohort(folder / "new.csv") == cohort
    lines = (folder / "new.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# origin: origin with, a comma"
    assert lines[2] == f'a,1,a_t1.nii.gz,,all.nii.gz#3,{outside},a_seg.nii.gz,"Müller, ""Nord""",'
    assert not list(folder.glob("*.tmp"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("# origin: nothing\n", "is empty"),
        ("patient,t1\n", "is empty"),
        ("patient,idh\na,mutant\n", "no modality column: expected at least one of t1, t1e, t2, flair"),
        ("name,t1\na,a_t1.nii.gz\n", "no patient column"),
        ("patient,t1gd,t1ce\na,,\n", "columns 't1gd' and 't1ce' both mean t1e"),
        ("patient,t1,t1\na,,\n", "two columns are called 't1'"),
        (",patient,t1\n0,a,a_t1.nii.gz\n", "column 1 has no name.*index=False"),
        ("patient,t1,t1x\na,a_t1.nii.gz,\n", "is column 't1x' a misspelt"),
        ("patient,t1,Flare\na,a_t1.nii.gz,\n", "is column 'Flare' a misspelt 'flair'"),
        ("patient,t1,patiant\na,a_t1.nii.gz,\n", "is column 'patiant' a misspelt 'patient'"),
        ("patient,t1,swi\na,a_t1.nii.gz,all.nii.gz#1\n", r"column 'swi' holds images \(all.nii.gz#1\)"),
        ("patient,t1\na,a_t1.nii.gz\na,b_t1.nii.gz\n", "line 3: a stands in line 2 already"),
        ("patient,visit,t1\na_1,,a_t1.nii.gz\na,1,b_t1.nii.gz\n", "line 3: a_1 stands in line 2 already"),
        ("# x\npatient,t1\na,gone.nii.gz\n", "line 3: no such file: gone.nii.gz"),
        ("patient,t1\na,a_t1.dcm\n", r"line 2: a_t1\.dcm is no volume"),
        ("patient,t1\na/b,a_t1.nii.gz\n", "line 2: the patient id 'a/b' cannot be part of a file name"),
        ("patient,t1\n,a_t1.nii.gz\n", "line 2: a visit has no patient id"),
        ("patient,t1\na,a_t1.nii.gz,HGG\n", "line 2: 3 cells for 2 columns"),
        ("patient,t1,idh\na,a_t1.nii.gz\n", "line 2: 2 cells for 3 columns"),
        ('patient,t1\n"a,a_t1.nii.gz\n', "line 2: no valid CSV"),
    ],
)
def test_a_table_that_cannot_be_used_says_where_and_why(folder, text, message):
    with pytest.raises(UserError, match=message) as error:
        read_cohort(csv_file(folder, text))
    assert "cohort.csv" in str(error.value)


@pytest.mark.parametrize(
    "label", ["age", "sex", "idh", "1p19q", "grade", "mgmt", "survival_days", "class", "t1_volume", "os"]
)
def test_common_labels_are_not_taken_for_misspelt_modalities(folder, label):
    assert read_cohort(csv_file(folder, f"patient,t1,{label}\na,a_t1.nii.gz,1\n")).label_columns == (label,)


def test_missing_table_and_binary_table_are_named(folder):
    with pytest.raises(UserError, match=r"no such file: .*gone\.csv"):
        read_cohort(folder / "gone.csv")
    (folder / "x.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"x\.csv as a UTF-8 table"):
        read_cohort(folder / "x.csv")


# ---- labels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("patient", "l.csv"),
        ("Case", "l.csv"),
        ("subject_id", "l.csv"),
        ("BraTS_2020_subject_ID", "l.csv"),
        ("x", "l.tsv"),
    ],
)
def test_labels_are_found_by_patient(tmp_path, header, name):
    text = f"{header},idh,age\nb,wildtype,50\na,mutant,40\nunused,mutant,1\n"
    table = csv_file(tmp_path, text.replace(",", "\t") if name == "l.tsv" else text, name)
    merged = merge_labels(cohort_of("a", "b"), table, ["idh"])
    assert [visit.labels for visit in merged.visits] == [{"idh": "mutant"}, {"idh": "wildtype"}]


def test_visits_of_a_patient_share_labels_and_keep_their_own(tmp_path):
    cohort = Cohort((Visit("a", "1", labels={"grade": "HGG"}), Visit("a", "2")), "test")
    merged = merge_labels(cohort, csv_file(tmp_path, "patient,idh,sex\na,mutant,f\n"), ["idh", "sex"])
    assert merged.visits[0].labels == {"grade": "HGG", "idh": "mutant", "sex": "f"}
    assert merged.visits[1].labels == {"idh": "mutant", "sex": "f"}
    assert merged.label_columns == ("grade", "idh", "sex")


def test_rows_may_name_visits_as_brats_2023_does(tmp_path):
    cohort = Cohort((Visit("BraTS-GLI-00001", "000"), Visit("BraTS-GLI-00001", "001")), "test")
    table = csv_file(tmp_path, "case,mgmt\nBraTS-GLI-00001-000,1\nBraTS-GLI-00001-001,0\n")
    assert [visit.labels["mgmt"] for visit in merge_labels(cohort, table, ["mgmt"]).visits] == ["1", "0"]


@pytest.mark.parametrize("ids", [("00003", "00012"), ("3", "12")])
def test_bare_numbers_match_the_end_of_ids(tmp_path, ids):
    table = csv_file(tmp_path, f"BraTS21ID,MGMT_value\n{ids[0]},1\n{ids[1]},0\n")
    merged = merge_labels(cohort_of("BraTS2021_00012", "BraTS2021_00003"), table, ["MGMT_value"])
    assert [visit.labels["MGMT_value"] for visit in merged.visits] == ["0", "1"]


def test_numbers_that_fit_two_patients_match_none(tmp_path):
    table = csv_file(tmp_path, "case,idh\n1,mutant\n")
    with pytest.raises(UserError, match="no row for 2 of 2 patients"):
        merge_labels(cohort_of("GLI-001", "MEN-001"), table, ["idh"])


def test_of_several_id_columns_the_fitting_one_is_taken(tmp_path):
    text = "Grade,BraTS_2017_subject_ID,BraTS_2020_subject_ID\nHGG,NA,BraTS20_1\nLGG,NA,BraTS20_2\n"
    merged = merge_labels(cohort_of("BraTS20_2"), csv_file(tmp_path, text), ["Grade"])
    assert merged.visits[0].labels == {"Grade": "LGG"}


def test_an_empty_cell_is_an_unknown_label(tmp_path):
    merged = merge_labels(cohort_of("a"), csv_file(tmp_path, "patient,idh,sex\na,,f\n"), ["idh", "sex"])
    assert merged.visits[0].labels == {"sex": "f"}


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("patient,idh\na,mutant\n", "idh", "no row for 2 of 3 patients, the first is b .*column 'patient'"),
        ("patient,idh\na,x\nb,x\nc,x\n", "idj", "no column 'idj': did you mean 'idh'"),
        ("patient,idh\na,x\na,y\nb,x\nc,x\n", "idh", "rows with different labels for a"),
        ("patient,t1\na,x\nb,x\nc,x\n", "t1", "column 't1' of .* would replace"),
        ("patient,flare\na,x\nb,x\nc,x\n", "flare", "column 'flare' a misspelt 'flair'"),
    ],
)
def test_label_tables_that_cannot_be_used_are_refused(tmp_path, text, column, message):
    with pytest.raises(UserError, match=message):
        merge_labels(cohort_of("a", "b", "c"), csv_file(tmp_path, text), [column])


def test_a_label_that_the_cohort_has_is_not_replaced(tmp_path):
    cohort = Cohort((Visit("a", labels={"grade": "HGG"}),), "test")
    with pytest.raises(UserError, match=r"'grade' .* would replace one that the cohort has"):
        merge_labels(cohort, csv_file(tmp_path, "patient,grade\na,LGG\n"), ["grade"])
