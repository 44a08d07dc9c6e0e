import os
import signal
import subprocess
import sys
import time
from functools import partial

import click
import nibabel
import numpy as np
import pytest
from command_line import run, sentence
from conftest import SMALL, make_patient, narrow, undrawn

from kerasgan import __version__
from kerasgan.cli import cli
from kerasgan.gan.checkpoint import Position
from kerasgan.gan.training import Stopped

SETS = [word for override in SMALL for word in ("--set", override)]


def test_help_and_version_and_models():
    assert "kerasgan train pairwise --pair t1 t1e" in run("--help")
    assert run("--version").strip() == f"kerasgan, version {__version__}"
    listed = run("models")
    assert "pairwise" in listed
    assert "10.1109/ACCESS.2020.2969805" in listed
    assert "II-B" in listed


def test_no_line_of_help_is_cut_off():
    for command in [cli, *commands()]:
        shown = click.Context(command, terminal_width=80).get_help()
        assert not [line for line in shown.splitlines() if line.endswith("...") and "Usage:" not in line]


def commands(group=cli):
    for command in group.commands.values():
        yield command
        if isinstance(command, click.Group):
            yield from commands(command)


def test_an_option_of_one_name_means_one_thing():
    found = {}
    for command in commands():
        for option in command.params:
            found.setdefault(option.opts[0], []).append(option)
    for name in ("--config", "--quiet", "--workers", "--format", "--bits", "--resume", "--run-dir", "--partition"):
        assert len({option.help for option in found[name]}) == 1, name
    assert {(option.type.min, option.type.max) for option in found["--seed"]} == {(0, 2**32 - 1)}
    assert all(option.multiple and option.help.endswith("may be repeated.") for option in found["--set"])
    assert all(option.is_flag for name in ("--force", "--dry-run", "--quiet") for option in found[name])


def test_help_needs_no_tensorflow():
    code = "import sys; from kerasgan.cli import cli; assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_from_files_to_a_saved_model(brats_folder, tmp_path, monkeypatch):
    """The product's main job, as the README has it."""
    monkeypatch.chdir(tmp_path)
    assert "10 visits of 10 patients" in run("data", "index", brats_folder, "--out", "cohort.csv")
    checked = run("data", "check", "cohort.csv", "--quiet", *SETS)
    assert (
        "nothing would fail; go on with `kerasgan data prepare cohort.csv --model pairwise --out prepared/" in checked
    )
    assert "--set data.size=32 --set data.min_gap=2" in checked and "for training" not in checked
    assert "train 6 patients / 36 slices" in run("data", "prepare", "cohort.csv", "--out", "prepared", "--quiet", *SETS)
    short = ["--set", "training.epochs=1", *SETS]
    output = run("train", "pairwise", "--pair", "T1", "t1ce", "--data", "prepared", *short)
    assert "BraTS folders in" in output, "the output says which data that was"
    assert "Ge 2020, Table 6, with mask" in output
    run_folder = tmp_path / "runs" / "pairwise" / "t1-t1e"
    assert (run_folder / "report.html").is_file()
    volume = brats_folder / "BraTS2021_00002" / "BraTS2021_00002_t1.nii.gz"
    run("translate", run_folder, volume, "--from", "t1", "--to", "t1e", "--out", "t1e.nii.gz", "--quiet")
    assert nibabel.load("t1e.nii.gz").shape == nibabel.load(volume).shape
    assert "pairwise_t1_to_t1e/1" in run("export", run_folder, "--to", "saved_models", "--no-warmup")
    assert (tmp_path / "saved_models" / "models.config").is_file()


def test_without_data_it_trains_on_the_phantom_and_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERASGAN_CACHE", str(tmp_path / "cache"))
    tiny = ["phantom.patients=6", "phantom.grid=48", "data.min_gap=1", *SMALL[:1], *SMALL[2:]]
    tiny += ["split.stratify=null", "training.epochs=1"]
    words = [word for override in tiny for word in ("--set", override)]
    with narrow():
        output = run("train", "pairwise", "--pair", "t1", "t1e", "--profile", "smoke", *words)
    assert "simulated phantom cohort (seed 7, grid 48, 6 patients)" in output
    assert "simulating 6 patients" in output
    with narrow(), undrawn():
        again = run("train", "pairwise", "--pair", "t1", "t1e", "--profile", "smoke", "--run-dir", "b", *words)
    assert "simulating" not in again, "the cohort is simulated once"


def test_phantom_command(tmp_path):
    run(
        "phantom", tmp_path / "heads", "--patients", 3, "--grid", 32, "--missing", "T2w=0.34", "--workers", 1, "--quiet"
    )
    assert len(list((tmp_path / "heads").glob("*/*_t1.nii.gz"))) == 3
    assert len(list((tmp_path / "heads").glob("*/*_t2.nii.gz"))) == 2
    assert "3 visits" in run("data", "index", tmp_path / "heads", "--out", tmp_path / "c.csv")
    assert "idh" in (tmp_path / "c.csv").read_text()


def test_pair_all_beside_two_modalities(prepared_folder, tmp_path):
    output = run(
        "train", "pairwise", "--pair", "all", "--data", prepared_folder, "--run-dir", tmp_path / "g", *SETS, "--dry-run"
    )
    assert output.count("would train pairwise") == 6


def test_flags_are_settings(prepared_folder, tmp_path):
    flags = ["--seed", 5, "--precision", "mixed_bfloat16", "--jit", "--strategy", "mirrored"]
    output = run("train", "pairwise", "--pair", "t1", "t1e", "--data", prepared_folder, *SETS, *flags, "--dry-run")
    for line in ("seed: 5", "precision: mixed_bfloat16", "jit: true", "strategy: mirrored"):
        assert line in output


def spoilt_patient(tmp_path, spoil):
    for number in range(4):
        make_patient(tmp_path / "brats", f"BraTS2021_{number:05}", number)
    spoil(tmp_path / "brats" / "BraTS2021_00001")
    run("data", "index", tmp_path / "brats", "--out", tmp_path / "cohort.csv")


def cut(folder):
    path = next(folder.glob("*_t1.nii.gz"))
    path.write_bytes(path.read_bytes()[:-500])


def poison(folder):
    path = next(folder.glob("*_t1.nii.gz"))
    image = nibabel.load(path)
    voxels = image.get_fdata()
    voxels[3, 4, 5] = np.nan
    nibabel.Nifti1Image(voxels, image.affine).to_filename(path)


def crop(folder):
    path = next(folder.glob("*_t1.nii.gz"))
    image = nibabel.load(path)
    nibabel.Nifti1Image(np.asarray(image.dataobj)[:-1], image.affine).to_filename(path)


def stack_up(folder):
    path = next(folder.glob("*_t1.nii.gz"))
    image = nibabel.load(path)
    nibabel.Nifti1Image(np.stack([np.asarray(image.dataobj)] * 2, -1), image.affine).to_filename(path)


def unsegment(folder):
    next(folder.glob("*_seg.nii.gz")).unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut, "BraTS2021_00001_t1.nii.gz"),
        (poison, "NaN"),
        (crop, "shapes differ"),
        (stack_up, "BraTS2021_00001_t1.nii.gz"),
        (unsegment, "BraTS2021_00001 has no segmentation"),
    ],
)
def test_a_spoilt_patient_is_found_by_check_and_stops_prepare(tmp_path, spoil, message):
    spoilt_patient(tmp_path, spoil)
    found = sentence("data", "check", tmp_path / "cohort.csv", "--model", "classifier", "--quiet", *SETS)
    assert (
        f"would stop `kerasgan data prepare {tmp_path / 'cohort.csv'} --model classifier --out prepared/ --set" in found
    )
    out = tmp_path / "prepared"
    assert message in sentence("data", "prepare", tmp_path / "cohort.csv", "--out", out, "--quiet", *SETS)
    assert not (out / "manifest.json").exists()
    assert not [path for path in out.rglob("*") if path.name.startswith(".")], "nothing half-written"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "pairwise", "--pair", "t1", "t7"], "unknown modality 't7'"),
        (["train", "pairwise", "--pair", "t1", "T1w"], "two different modalities"),
        (["train", "pairwise", "--pair", "t1", "t2", "--set", "training.epoch=3"], "did you mean 'training.epochs'"),
        (["train", "pairwise", "--pair", "t1", "t2", "--set", "training.epochs=x"], "training.epochs"),
        (["train", "pairwise", "--pair", "t1", "t2", "--config", "nowhere.yaml"], "no such file"),
        (["train", "pairwise", "--pair", "t1", "t2", "--data", "nowhere"], "there is no folder nowhere"),
        (["train", "pairwise", "--pair", "t1", "t2", "--resume", "--run-dir", "nowhere"], "there is no folder nowhere"),
        (["train", "pairwise", "--pair", "t1", "--data", "x"], "--pair expects two modalities, as in"),
        (["train", "pairwise", "--pair", "t1,t2", "--quiet"], "--pair expects two modalities, as in"),
        (["train", "pairwise", "--pair", "all", "t1"], "--pair expects two modalities, as in"),
        (["phantom", "x", "--missing", "t2"], "MODALITY=FRACTION"),
        (["phantom", "x", "--missing", "t9=0.1"], "t9"),
        (["train", "pairwise", "--pair", "t1", "t2", "--set", "data.size=100"], "multiple of 16"),
        (["train", "pairwise", "--pair", "t1", "t2", "--set", "synthesis.t1=[t1]"], "from itself"),
        (["train", "pairwise", "--pair", "t1", "t2", "--set", "training.epochs.x=1"], "unknown key"),
        (["data", "prepare", "--out", "x", __file__, "--model", "pairwize"], "did you mean 'pairwise'"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    assert message in sentence(*words)
    assert not list(tmp_path.iterdir())


def test_an_id_with_a_path_separator(brats_folder, tmp_path):
    image = next(brats_folder.glob("*/*_t1.nii.gz"))
    (tmp_path / "c.csv").write_text(f"patient,t1\n../escape,{image}\n")
    assert "path separators" in sentence("data", "check", tmp_path / "c.csv", "--quiet")


def test_check_finds_what_prepare_would_stumble_over(brats_folder, cohort_csv, tmp_path):
    output = run("data", "check", cohort_csv, "--quiet", *SETS, "--set", "data.min_gap=20", code=2)
    assert "only 1 axial slices with tumour lie 20 apart" in output
    output = run(
        "data",
        "check",
        cohort_csv,
        "--quiet",
        *SETS,
        "--set",
        "split.test=0.35",
        "--set",
        "split.train=0.05",
        "--set",
        "split.validation=0.6",
        code=2,
    )
    assert "the split: 5 patients of class 'mutant' are too few" in output
    image = next(brats_folder.glob("*/*_t1.nii.gz"))
    (tmp_path / "bare.csv").write_text("patient,t1\n" + "".join(f"p{i},{image}\n" for i in range(1)))
    assert "by which the slices are selected" in run("data", "check", tmp_path / "bare.csv", "--quiet", code=2)


def test_check_says_what_the_training_of_a_model_needs(cohort_csv):
    words = ["data", "check", cohort_csv, "--quiet", "--set", "data.selection=every_tumour", "--model"]
    lacking = run(*words, "pggan", "--set", "data.views=[axial]", "--set", "split.stratify=null")
    assert "for training: the cohort has no label column 'class' (study.label) with normal, abnormal: add it" in lacking
    assert "for training" not in run(*words, "unet")
    other = run(*words, "unet", "--set", "study.negative=II", "--set", "study.modalities=[flair,t1,t1e,t2]")
    assert "for training: no visit has grade II; visits by grade: HGG (7), LGG (3)" in other
    assert "for training: 9 of 10 visits have FLAIR, T1, T1e, T2, which study asks for" in other


def test_a_disk_that_is_full(cohort_csv, tmp_path, monkeypatch):
    from kerasgan.data import records

    def full(path, slices):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(records, "write_shard", full)
    assert "No space left on device" in sentence(
        "data", "prepare", cohort_csv, "--out", tmp_path / "p", "--quiet", *SETS
    )


def start(*words, cwd):
    command = [sys.executable, "-m", "kerasgan", *map(str, words)]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition, process, seconds=600):
    begun = time.monotonic()
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() - begun < seconds
        time.sleep(0.05)


def test_index_overwrites_nothing_without_force(brats_folder, tmp_path):
    (tmp_path / "c.csv").write_text("edited by hand")
    assert "c.csv exists" in sentence("data", "index", brats_folder, "--out", tmp_path / "c.csv")
    assert (tmp_path / "c.csv").read_text() == "edited by hand"
    run("data", "index", brats_folder, "--out", tmp_path / "c.csv", "--force")


def test_an_existing_run_hides_no_other_mistake_and_no_dry_run(finished_run, prepared_folder, tmp_path):
    words = ["train", "pairwise", "--pair", "t1", "t1e", "--run-dir", finished_run, *SETS]
    assert "would train" in run(*words, "--data", prepared_folder, "--dry-run")
    assert "there is no folder" in sentence(*words, "--data", tmp_path / "nowhere")
    assert "training.epochs" in sentence(*words, "--data", prepared_folder, "--set", "training.epochs=three")
    assert "holds a run" in sentence(*words, "--data", prepared_folder)


def test_mistakes_in_settings_are_found_without_tensorflow(tmp_path):
    code = (
        "import sys; from kerasgan.cli import cli\n"
        "try: cli(['train', 'pairwise', '--pair', 't1', 't2', '--set', 'training.epoch=3'], standalone_mode=False)\n"
        "except Exception as error: print(error)\n"
        "assert 'tensorflow' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "training.epochs" in done.stdout


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted before the first step: nothing was trained yet"),
        (
            Stopped(15, Position(1, 2), "stage 8"),
            143,
            "stopped in epoch 2 after step 2 of stage 8; the state is saved; the same command with --resume goes on",
        ),
        (
            Stopped(2, Position(3), "the U-Net", resumable=False),
            130,
            "stopped after epoch 3 of the U-Net; the state is saved; the same command goes on",
        ),
        (Stopped(2, None), 130, "stopped; what was saved last is kept; the same command with --resume goes on"),
    ],
)
def test_an_interruption_is_one_sentence(monkeypatch, raised, code, said):
    def train(*words, **options):
        raise raised

    monkeypatch.setattr("kerasgan.experiment.train", train)
    assert run("train", "pairwise", "--pair", "t1", "t2", code=code).strip() == said


def test_translate_says_what_kind_of_input_it_was_given(finished_run, cohort_csv, brats_folder, tmp_path):
    volume = brats_folder / "BraTS2021_00002" / "BraTS2021_00002_t1.nii.gz"
    words = ["translate", finished_run, "--from", "t1", "--to", "t1e"]
    assert "--fill-missing" in sentence(*words, cohort_csv, "--out", tmp_path / "out")
    assert "is a folder" in sentence(*words, volume, "--out", tmp_path)


SIX_EPOCHS = ["train", "pairwise", "--pair", "t1", "t1e", "--set", "training.epochs=6", *SETS]


@pytest.fixture(scope="module")
def left_alone(prepared_folder, tmp_path_factory):
    """The last state of a training that nobody killed."""
    whole = tmp_path_factory.mktemp("left_alone") / "whole"
    with undrawn():
        run(*SIX_EPOCHS, "--data", prepared_folder, "--run-dir", whole, "--quiet")
    return whole / "checkpoints" / "latest.npz"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_training_resumes_to_the_same_weights(prepared_folder, tmp_path, number, left_alone):
    """In real processes: one is killed in the middle, resumed, and compared with one that was left alone."""
    words = [*SIX_EPOCHS, "--data", prepared_folder]
    latest = tmp_path / "killed" / "checkpoints" / "latest.npz"
    process = start(*words, "--run-dir", "killed", cwd=tmp_path)
    wait_for(latest.exists, process)
    time.sleep(0.3)  # into an epoch
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=60)
    if number == signal.SIGTERM:
        assert process.returncode == 143
        assert "the same command with --resume goes on; the run is in killed\n" in errors
        assert "Traceback" not in errors
    assert not (tmp_path / "killed" / "generators").exists(), "it was killed before its end"
    with undrawn():
        run(*words, "--run-dir", tmp_path / "killed", "--resume", "--quiet")
    with np.load(latest) as killed, np.load(left_alone) as whole:
        assert killed.files == whole.files
        for name in killed.files:
            np.testing.assert_array_equal(killed[name], whole[name], err_msg=name)


@pytest.mark.slow
def test_ctrl_c_while_preparing_leaves_nothing_half_written(tmp_path):
    for number in range(6):
        make_patient(tmp_path / "brats", f"BraTS2021_{number:05}", number)
    run("data", "index", tmp_path / "brats", "--out", tmp_path / "cohort.csv")
    slow = (
        "import time; from kerasgan.data import records; write = records.write_shard\n"
        "def slowly(*a): time.sleep(1); write(*a)\n"
        "records.write_shard = slowly\n"
        "from kerasgan.cli import main; main()"
    )
    words = ["data", "prepare", "cohort.csv", "--out", "prepared", "--workers", "1", "--quiet", *SETS]
    # A shell's background job, in which the suite may run, ignores Ctrl-C, and its children do so too.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    command = [sys.executable, "-c", slow, *words]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=heard)
    wait_for(lambda: list(tmp_path.glob("prepared/shards/*.tfrecord")), process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip().splitlines()[-1].startswith("Error: interrupted")
    assert "Traceback" not in errors
    assert not list((tmp_path / "prepared").rglob(".*"))
    assert not (tmp_path / "prepared" / "manifest.json").exists()
    assert "6 patients" in run(
        "data", "prepare", tmp_path / "cohort.csv", "--out", tmp_path / "prepared", "--quiet", *SETS
    )


def test_a_pipe_that_is_closed_early_is_no_error():
    """`kerasgan models | head -1`."""
    command = [sys.executable, "-m", "kerasgan", "models"]
    asked = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    asked.stdout.close()
    assert asked.stderr.read() == b""
    asked.stderr.close()
    asked.wait()
