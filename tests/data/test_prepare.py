import json
import shutil

import nibabel
import numpy as np
import pytest
from conftest import AFFINE, SHAPE
from small_settings import run, settings

from kerasgan.data import records
from kerasgan.data.cohort import Cohort, Visit
from kerasgan.data.indexers import index
from kerasgan.data.prepare import describe, open_prepared
from kerasgan.errors import UserError


@pytest.fixture
def cohort(brats_folder):
    return index(brats_folder)


def shards(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in (folder / "shards").iterdir()}


def test_manifest_and_shards(cohort, tmp_path):
    prepared = run(cohort, tmp_path / "out")
    manifest = prepared.manifest
    assert manifest == open_prepared(tmp_path / "out", settings().data).manifest
    assert len(manifest.visits) == 10 and len(manifest.partitions) == 5
    first = manifest.visits[0]
    assert len(first.slices) == 6 and {view for view, _, _ in first.slices} == {"axial", "coronal", "sagittal"}
    assert all(area > 0 for _, _, area in first.slices)
    assert first.orientation == "LPS" and first.shape == SHAPE and np.allclose(first.affine, AFFINE)
    assert set(manifest.visits[9].ranges) == {"t1", "t1e", "flair"}, "the missing T2 stays missing"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["manifest.json", "shards"]
    assert describe(prepared).startswith(
        "BraTS folders in"
    ) and "10 patients; split by patient, not stratified; used: train 6 patients / 36 slices" in describe(prepared)


def test_stored_slices_equal_an_independent_computation(cohort, tmp_path):
    """Read back through TensorFlow and compare with nibabel, NumPy and scikit-image on one slice."""
    import tensorflow as tf
    from skimage.transform import resize

    prepared = run(cohort, tmp_path / "out", "data.views=[axial]", "data.slices_per_view=1")
    visit = prepared.manifest.visits[0]
    record = next(iter(tf.data.TFRecordDataset(str(prepared.shard(visit)))))
    example = records.parse(record, 32, ("t1", "flair"))

    image = nibabel.as_closest_canonical(nibabel.load(visit.sources["t1"]))
    mask = nibabel.as_closest_canonical(nibabel.load(visit.sources["segmentation"])).get_fdata()
    k = int(np.argmax((mask > 0).sum(axis=(0, 1))))
    assert visit.slices == [("axial", k, visit.slices[0][2])] and int(example["index"]) == k
    volume = image.get_fdata()
    low, high = np.percentile(volume[volume != 0], [0, 99.5])
    piece = np.clip((volume[:, :, k] - low) / (high - low), 0, 1)
    upright = np.rot90(piece)[:, ::-1]  # rot90 puts y upwards and x to the right; radiological convention mirrors x
    padded = np.pad(upright, ((0, 0), (2, 2)))  # 28 rows, 24 columns
    expected = resize(padded, (32, 32), order=1, anti_aliasing=False) * 2 - 1
    np.testing.assert_allclose(records.to_signed(example["t1"]).numpy()[..., 0], expected, atol=1e-4)
    assert set(np.unique(example["segmentation"])) <= {0, 4}


def test_a_second_run_changes_nothing(cohort, tmp_path):
    run(cohort, tmp_path / "out")
    before = shards(tmp_path / "out")
    manifest = (tmp_path / "out" / "manifest.json").read_text()
    run(cohort, tmp_path / "out")
    assert shards(tmp_path / "out") == before
    assert (tmp_path / "out" / "manifest.json").read_text() == manifest


def test_it_is_deterministic_over_workers(cohort, tmp_path):
    one, many = run(cohort, tmp_path / "one", workers=1), run(cohort, tmp_path / "many", workers=4)
    assert one.manifest == many.manifest
    assert {n: c for n, (c, _) in shards(tmp_path / "one").items()} == {
        n: c for n, (c, _) in shards(tmp_path / "many").items()
    }


def test_an_interrupted_run_goes_on_where_it_was(cohort, tmp_path, monkeypatch):
    real, written = records.write_shard, []

    def failing(path, slices):
        if len(written) == 4:
            raise KeyboardInterrupt
        written.append(path.name)
        real(path, slices)

    monkeypatch.setattr(records, "write_shard", failing)
    with pytest.raises(KeyboardInterrupt):
        run(cohort, tmp_path / "out", workers=1)
    with pytest.raises(UserError, match=r"did not finish, repeat `kerasgan data prepare COHORT\.csv --model MODEL"):
        open_prepared(tmp_path / "out")
    # A kill can cut the journal's last line.
    with (tmp_path / "out" / "journal.jsonl").open("a") as journal:
        journal.write('{"name": "BraTS')
    before = shards(tmp_path / "out")
    assert len(before) == 4
    monkeypatch.setattr(records, "write_shard", real)
    run(cohort, tmp_path / "out")
    after = shards(tmp_path / "out")
    assert len(after) == 10 and before.items() <= after.items()


def test_a_full_disk_leaves_no_half_shard(cohort, tmp_path, monkeypatch):
    class FullDisk(records.tf.io.TFRecordWriter):
        def write(self, record):
            raise records.tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(records.tf.io, "TFRecordWriter", FullDisk)
    with pytest.raises(OSError, match="No space left"):
        run(cohort, tmp_path / "out")
    assert list((tmp_path / "out" / "shards").iterdir()) == []
    monkeypatch.undo()
    assert len(run(cohort, tmp_path / "out").manifest.visits) == 10


def test_a_changed_source_is_prepared_again_and_only_it(brats_folder, tmp_path):
    folder = tmp_path / "brats"
    shutil.copytree(brats_folder, folder)
    run(index(folder), tmp_path / "out")
    before = shards(tmp_path / "out")
    path = folder / "BraTS2021_00003" / "BraTS2021_00003_t1.nii.gz"
    image = nibabel.load(path)
    nibabel.Nifti1Image(np.asarray(image.dataobj)[::-1], image.affine).to_filename(path)
    run(index(folder), tmp_path / "out")
    changed = [name for name, content in shards(tmp_path / "out").items() if before[name] != content]
    assert changed == ["BraTS2021_00003.tfrecord"]


def test_a_patient_who_leaves_the_cohort_takes_the_shard_along(cohort, tmp_path):
    run(cohort, tmp_path / "out")
    run(Cohort(cohort.visits[:-1], cohort.origin), tmp_path / "out")
    assert len(shards(tmp_path / "out")) == 9


def test_other_settings_are_refused_unless_forced(cohort, tmp_path):
    run(cohort, tmp_path / "out")
    with pytest.raises(UserError, match=r"prepared with other settings \(min_gap: 2, not 3\).*--force"):
        run(cohort, tmp_path / "out", "data.min_gap=3")
    with pytest.raises(UserError, match=r"prepared with other settings \(min_gap: 2, not 3 as configured\)"):
        open_prepared(tmp_path / "out", settings("data.min_gap=3").data)
    assert run(cohort, tmp_path / "out", "data.min_gap=3", force=True).manifest.slicing.min_gap == 3


def test_another_split_needs_no_new_shards(cohort, tmp_path):
    first = run(cohort, tmp_path / "out")
    before = shards(tmp_path / "out")
    second = run(cohort, tmp_path / "out", "split.seed=5")
    assert shards(tmp_path / "out") == before
    assert second.manifest.partitions != first.manifest.partitions


def test_visits_of_one_patient_stay_together(cohort, tmp_path):
    visits = tuple(
        Visit(patient=f"p{i // 2}", visit=str(i % 2), images=v.images, segmentation=v.segmentation)
        for i, v in enumerate(cohort.visits)
    )
    prepared = run(Cohort(visits, "pairs"), tmp_path / "out")
    for partition in range(1, 6):
        subsets = [{v.patient for v in prepared.visits(s, partition, ("t1",))} for s in ("train", "validation", "test")]
        assert sum(map(len, subsets)) == 5 == len(set.union(*subsets))
        assert sum(len(prepared.visits(s, partition, ("t1",))) for s in ("train", "validation", "test")) == 10


def test_stratified_by_a_label(cohort, tmp_path):
    labels = ["mutant", "wildtype"]
    visits = tuple(
        Visit(patient=v.patient, images=v.images, segmentation=v.segmentation, labels={"idh": labels[i % 2]})
        for i, v in enumerate(cohort.visits)
    )
    prepared = run(Cohort(visits, "labelled"), tmp_path / "out", "split.stratify=idh")
    assert prepared.manifest.stratified_by == "idh"
    by_patient = {v.patient: v.labels["idh"] for v in prepared.manifest.visits}
    for partition in prepared.manifest.partitions:
        assert sorted(by_patient[p] for p in partition["test"]) == labels
    unlabelled = Visit(patient="x", images=visits[0].images, segmentation=visits[0].segmentation)
    with pytest.raises(UserError, match="x has no value in the label column 'idh'"):
        run(Cohort((*visits, unlabelled), "labelled"), tmp_path / "other", "split.stratify=idh")


def test_only_patients_with_all_modalities_are_used(cohort, tmp_path):
    prepared = run(cohort, tmp_path / "out")
    everyone = {v.patient for s in ("train", "validation", "test") for v in prepared.visits(s, 1, ("t1", "t1e"))}
    with_t2 = {v.patient for s in ("train", "validation", "test") for v in prepared.visits(s, 1, ("t1", "t2"))}
    assert everyone - with_t2 == {"BraTS2021_00009"}


def test_a_cohort_without_the_pair(cohort, tmp_path):
    visits = tuple(
        Visit(patient=v.patient, images={"t1": v.images["t1"]}, segmentation=v.segmentation) for v in cohort.visits
    )
    prepared = run(Cohort(visits, "only T1"), tmp_path / "out")
    with pytest.raises(
        UserError,
        match=r"no train patient of partition 1 has slices of all of t1, t2; visits per modality: \{'t1': 10\}",
    ):
        prepared.visits("train", 1, ("t1", "t2"))
    with pytest.raises(UserError, match="partitions 1 to 5, got 6"):
        prepared.visits("train", 6, ("t1",))


def test_a_missing_segmentation_says_what_to_do(cohort, tmp_path):
    bare = tuple(Visit(patient=v.patient, images=v.images) for v in cohort.visits)
    with pytest.raises(UserError, match=r"has no segmentation; slices are selected by tumour.*data\.selection=range"):
        run(Cohort(bare, "bare"), tmp_path / "out")
    prepared = run(Cohort(bare, "bare"), tmp_path / "range", "data.selection=range", "data.slice_range=[0.4, 0.6]")
    assert len(prepared.manifest.visits[0].slices) > 6


def test_too_small_a_tumour_names_the_patient(cohort, tmp_path):
    with pytest.raises(UserError, match=r"BraTS2021_0000\d: only \d axial slices with tumour lie 20 apart"):
        run(cohort, tmp_path / "out", "data.min_gap=20")


def test_a_leak_in_the_manifest_is_an_error(cohort, tmp_path):
    run(cohort, tmp_path / "out")
    path = tmp_path / "out" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["partitions"][2]["test"].append(manifest["partitions"][2]["train"][0])
    path.write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="is in train and in test"):
        open_prepared(tmp_path / "out")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda out: (out / "manifest.json").write_text("{"), "not readable as JSON"),
        (
            lambda out: (out / "manifest.json").write_text('{"format": 1}'),
            "expected a manifest of format 2, got 1; prepare the cohort again, with --force",
        ),
        (
            lambda out: next((out / "shards").iterdir()).unlink(),
            r"the shard of .* is missing or cut short \(1 in all\)",
        ),
        (lambda out: (out / "manifest.json").unlink(), "expected a folder made by `kerasgan data prepare"),
    ],
)
def test_a_spoilt_folder_is_refused(cohort, tmp_path, spoil, message):
    run(cohort, tmp_path / "out")
    spoil(tmp_path / "out")
    with pytest.raises(UserError, match=message):
        open_prepared(tmp_path / "out")


def test_a_foreign_folder_is_left_alone(cohort, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="holds other files"):
        run(cohort, tmp_path / "out")
    with pytest.raises(UserError, match="is a file"):
        run(cohort, tmp_path / "out" / "thesis.tex")
    with pytest.raises(UserError, match="no visits"):
        run(Cohort((), "nobody"), tmp_path / "other")


def test_a_shard_that_is_cut_short_is_found_and_made_again(cohort, tmp_path):
    run(cohort, tmp_path / "out")
    path = next((tmp_path / "out" / "shards").iterdir())
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(UserError, match="missing or cut short"):
        open_prepared(tmp_path / "out")
    run(cohort, tmp_path / "out")
    assert path.read_bytes() == whole


def test_an_interrupted_change_leaves_no_manifest_that_is_wrong(cohort, tmp_path, monkeypatch):
    out = tmp_path / "out"
    run(cohort, out)
    real, written = records.write_shard, []

    def failing(path, slices):
        if len(written) == 5:
            raise KeyboardInterrupt
        written.append(path.name)
        real(path, slices)

    monkeypatch.setattr(records, "write_shard", failing)
    with pytest.raises(KeyboardInterrupt):
        run(cohort, out, "data.percentiles=[10, 50]", force=True, workers=1)
    with pytest.raises(UserError, match="did not finish"):
        open_prepared(out)
    monkeypatch.undo()
    again = run(cohort, out)
    fresh = run(cohort, tmp_path / "fresh")
    assert again.manifest == fresh.manifest
    assert {n: c for n, (c, _) in shards(out).items()} == {n: c for n, (c, _) in shards(tmp_path / "fresh").items()}


def test_corrected_ids_reach_the_manifest_without_new_shards(cohort, tmp_path):
    def named(patient):
        visits = tuple(
            Visit(**patient(i), images=v.images, segmentation=v.segmentation) for i, v in enumerate(cohort.visits)
        )
        return Cohort(visits, "ids")

    run(named(lambda i: {"patient": f"p{i}_0"}), tmp_path / "out")
    before = shards(tmp_path / "out")
    prepared = run(named(lambda i: {"patient": f"p{i}", "visit": "0"}), tmp_path / "out")
    assert shards(tmp_path / "out") == before
    assert {visit.patient for visit in prepared.manifest.visits} == {f"p{i}" for i in range(10)}
    assert prepared.visits("train", 1, ("t1",))


def test_what_a_killed_writer_left_is_no_foreign_file(cohort, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    left = out / ".4999999.manifest.json"  # beyond the largest process id of Linux
    left.write_text("{")
    run(cohort, out)
    assert sorted(path.name for path in out.iterdir()) == ["manifest.json", "shards"]


def test_a_visit_without_images_is_named(cohort, tmp_path):
    empty = Visit(patient="nobody", segmentation=cohort.visits[0].segmentation)
    with pytest.raises(UserError, match="nobody has no image"):
        run(Cohort((*cohort.visits, empty), "x"), tmp_path / "out")


def test_another_split_is_refused_where_it_is_configured(cohort, tmp_path):
    run(cohort, tmp_path / "out")
    other = settings("split.seed=99")
    with pytest.raises(UserError, match=r"seed: 2020, not 99 as configured.*--set split.seed=2020"):
        open_prepared(tmp_path / "out", other.data, other.split)


def test_tumours_without_slices_are_no_visits_to_train_on(cohort, tmp_path):
    prepared = run(cohort, tmp_path / "out")
    bare = [visit.model_copy(update={"slices": []}) for visit in prepared.manifest.visits]
    without = type(prepared)(prepared.folder, prepared.manifest.model_copy(update={"visits": bare}))
    with pytest.raises(UserError, match="has slices of all of t1"):
        without.visits("validation", 1, ("t1",))


def rewrite(folder, name, change):
    path = folder / "BraTS2021_00000" / f"BraTS2021_00000_{name}.nii.gz"
    image = nibabel.load(path)
    nibabel.Nifti1Image(change(image.get_fdata()), image.affine).to_filename(path)


def test_masks_of_scaled_integers_are_labels_and_soft_masks_are_refused(brats_folder, tmp_path):
    folder = tmp_path / "brats"
    shutil.copytree(brats_folder, folder)
    whole = run(index(folder), tmp_path / "whole").manifest.visits[0]
    rewrite(folder, "seg", lambda voxels: voxels * 0.99999994)
    assert run(index(folder), tmp_path / "scaled").manifest.visits[0].slices == whole.slices
    rewrite(folder, "seg", lambda voxels: voxels * 0.4)
    with pytest.raises(UserError, match="values other than labels"):
        run(index(folder), tmp_path / "soft")


def test_background_is_black_in_z_scored_images_too(brats_folder, tmp_path):
    import tensorflow as tf

    folder = tmp_path / "brats"
    shutil.copytree(brats_folder, folder)

    def z_score(voxels):
        brain = voxels != 0
        return np.where(brain, (voxels - voxels[brain].mean()) / voxels[brain].std(), 0)

    rewrite(folder, "t1", z_score)
    prepared = run(index(folder), tmp_path / "out")
    visit = prepared.manifest.visits[0]
    assert visit.ranges["t1"][0] < 0
    record = next(iter(tf.data.TFRecordDataset(str(prepared.shard(visit)))))
    image = records.to_signed(records.parse(record, 32, ("t1",))["t1"]).numpy()[..., 0]
    assert image[0, 0] == image[-1, -1] == -1


@pytest.mark.parametrize("manifest", ['{"format": 1, "visits": []}', "{"])
def test_a_folder_of_an_older_version_is_prepared_anew_with_force_only(cohort, tmp_path, manifest):
    fresh = run(cohort, tmp_path / "out").manifest
    (tmp_path / "out" / "manifest.json").write_text(manifest)
    with pytest.raises(UserError, match="prepare the cohort again, with --force"):
        run(cohort, tmp_path / "out")
    assert run(cohort, tmp_path / "out", force=True).manifest == fresh


def test_folds_test_each_patient_once_and_are_named(cohort, tmp_path):
    prepared = run(cohort, tmp_path / "out", "split.scheme=folds")
    tested = [v.patient for k in range(1, 6) for v in prepared.visits("test", k, ("t1",))]
    assert sorted(tested) == sorted(v.patient for v in cohort.visits)
    assert "not stratified, fold 2 of 5; used: train 6 patients" in describe(prepared, 2)
