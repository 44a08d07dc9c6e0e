"""`reproduce pairwise`: the study of Ge et al. 2020.

STUDY/run1/
    gans-a/PAIR/  gans-b/PAIR/  gans-a-unmasked/PAIR/     pairwise GANs, with and without the mask in their loss
    enlarged-a/  enlarged-b/  enlarged-a-unmasked/        synthetic patients made by them
    prop-a/  bas-1/  prop-b/  bas-2/  prop-a-unmasked/    classifiers
    autoencoder/  similarity.json                         Table 6
STUDY/tables.md  table2.csv ... table6.csv  results.json  figure7.png
"""

import csv
import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import keras
import numpy as np

from kerasgan.data import pipeline
from kerasgan.data.modalities import DISPLAY
from kerasgan.data.prepare import Prepared
from kerasgan.errors import UserError
from kerasgan.experiment import devices
from kerasgan.experiment.enlarging import enlarge, is_current
from kerasgan.experiment.generation import load_network
from kerasgan.experiment.radiomics import study_prediction
from kerasgan.experiment.runs import open_run, pair_runs
from kerasgan.experiment.studies import common
from kerasgan.experiment.studies.common import Step, Words, begun, folder_of, read_note, take
from kerasgan.experiment.tasks import TASKS
from kerasgan.experiment.training import is_done, train
from kerasgan.files import remove, write_text
from kerasgan.metrics.classification import summarise
from kerasgan.metrics.psnr import psnr
from kerasgan.papers import settings_of
from kerasgan.papers.pairwise import autoencoder, study
from kerasgan.papers.pairwise.cases import modalities_of
from kerasgan.papers.pairwise.enlarging import Enlarged, open_enlarged
from kerasgan.papers.pairwise.published import METHODS, UNMASKED
from kerasgan.papers.pairwise.quality import RANGE, translator
from kerasgan.papers.pairwise.settings import PairwiseSettings
from kerasgan.papers.pairwise.study import Trial
from kerasgan.report.figures import boxed_grid

MASKS = {"with mask": "", "without mask": "-unmasked"}


@dataclass(frozen=True)
class Study(common.Study):
    """Where the parts of the study are kept, and how its settings vary."""

    settings: PairwiseSettings
    seeds: int  # classifiers per method and run

    def run(self, number: int) -> Path:
        return self.folder / f"run{number}"

    def options_with(self, *more: str) -> dict[str, Any]:
        """Options of a training with some overrides of its own."""
        return {**self.options, "overrides": [*self.options["overrides"], *more]}

    def settings_with(self, *more: str) -> PairwiseSettings:
        """The settings of such a training."""
        options = self.options_with(*more)
        return settings_of("pairwise", options["config"], options["profile"], options["overrides"])


def reproduce_pairwise(
    *, runs: int | None = None, cases: Sequence[str] = ("a", "b"), seeds: int = 1, **words: Unpack[Words]
) -> Path:
    """Train what is missing of the study of Ge 2020, resume what was interrupted, and write Tables 2 to 6.

    Args:
        runs: of the split's partitions, the first so many; None: all.
        cases: "a" (fake patients; Tables 2, 3, 5 and 6), "b" (missing scans too; Tables 2 and 4).
        seeds: classifiers per method and run, with seeds counted on from `classifier.seed`.
        words: see `common.Words`; of the profiles "study-NAME" is taken.

    Returns the folder of the study.
    """
    words["out"] = folder_of("pairwise", words)
    if (profile := words.get("profile", "full")) != "full":
        words["profile"] = f"study-{profile}"
    settings = settings_of("pairwise", words.get("config"), words.get("profile", "full"), words.get("overrides", ()))
    runs = settings.split.partitions if runs is None else runs
    if not 1 <= runs <= settings.split.partitions:
        raise UserError(f"--runs must be from 1 to split.partitions, {settings.split.partitions}; got {runs}")
    work, numbers = begun(Study, "pairwise", settings, words, seeds=seeds), range(1, runs + 1)
    if work:
        _check(work, numbers, cases)
        steps = [step for number in numbers for step in _steps(work, number, cases)]
        take(steps, words.get("dry_run", False), work.quiet)
    if work and not words.get("dry_run"):
        _write_tables(work, numbers, cases)
        work.show_tables()
    return folder_of("pairwise", words)


# ---- what is to be done ---------------------------------------------------------------------------------------------


def _check(work: Study, numbers: Sequence[int], cases: Sequence[str]) -> None:
    """What would stop the study after days of training is found out before."""
    for number, case in itertools.product(numbers, cases):
        options = work.options_with(f"study.partition={number}", f"study.case={case}")
        for pair in _pairs(work):
            run = work.run(number) / f"gans-{case}" / pair
            work.check("pairwise", run, options=options, **TASKS["pairwise"].target(pair.split("-")))
        baseline = _classifier_folder(work, number, METHODS[case][1], 0)
        work.check("classifier", baseline, options=options, **TASKS["classifier"].target())


def _steps(work: Study, number: int, cases: Sequence[str]) -> list[Step]:
    """The steps of one run of the study, in order: what, whether it is done, and how to do it."""
    steps: list[Step] = []
    for case in cases:
        chosen = (f"study.partition={number}", f"study.case={case}")
        masks = MASKS.values() if case == "a" else ("",)
        for mask in masks:
            steps += _synthetic(work, number, case, mask, chosen)
        proposed, baseline = METHODS[case]
        enlarged = work.run(number) / f"enlarged-{case}"
        for seed in range(work.seeds):
            steps.append(_classifier(work, number, proposed, seed, chosen, enlarged))
            steps.append(_classifier(work, number, baseline, seed, chosen, None))
            if case == "a":
                unmasked = (*chosen, "classifier.mask_background=1.0")
                steps.append(_classifier(work, number, UNMASKED, seed, unmasked, enlarged))
        if case == "a":
            what = f"run {number}: likeness of real and synthetic images"
            current = partial(_similarity_is_current, work, number)
            steps.append((what, current, partial(_measure_similarity, work, number, chosen)))
    return steps


def _synthetic(work: Study, number: int, case: str, mask: str, chosen: tuple[str, ...]) -> list[Step]:
    """The GANs of a case, and the enlarged set that they make."""
    gans, enlarged = work.run(number) / f"gans-{case}{mask}", work.run(number) / f"enlarged-{case}{mask}"
    options = work.options_with(*chosen, *(["loss.mask_background=1.0"] if mask else []))
    label = f"case {case}{', no mask in the loss' if mask else ''}"
    pairs = _pairs(work)

    def trained() -> bool:
        return all(is_done(gans / pair, "pairwise", options, work.prepared) for pair in pairs)

    def train_gans() -> None:
        train(
            "pairwise",
            pair=("all",),
            data=work.prepared.folder,
            run_dir=gans,
            resume=any((gans / pair / "run.json").is_file() for pair in pairs),
            quiet=work.quiet,
            **options,
        )
        _drop_checkpoints(work, [gans / pair for pair in pairs])

    return [
        (f"run {number}: GANs of {label}", trained, train_gans),
        (
            f"run {number}: synthetic patients of {label}",
            lambda: trained() and is_current(enlarged, gans, work.prepared),
            lambda: enlarge(gans, enlarged, data=work.prepared.folder, force=True, quiet=work.quiet),
        ),
    ]


def _pairs(work: Study) -> list[str]:
    names = modalities_of(work.prepared, work.settings)
    return [f"{m}-{n}" for i, m in enumerate(names) for n in names[i + 1 :]]


def _classifier_folder(work: Study, number: int, method: str, seed: int) -> Path:
    name = {"Prop-A": "prop-a", "Prop-B": "prop-b", UNMASKED: "prop-a-unmasked"}.get(method, method.lower())
    return work.run(number) / (name if seed == 0 else f"{name}-seed{seed + 1}")


def _classifier(
    work: Study, number: int, method: str, seed: int, chosen: tuple[str, ...], enlarged: Path | None
) -> Step:
    folder = _classifier_folder(work, number, method, seed)
    own = work.settings.classifier.seed + seed
    options = work.options_with(*chosen, f"classifier.seed={own}")

    def current() -> bool:
        """Whether a run there was begun on the enlarged set as it is now."""
        wanted = open_enlarged(enlarged).hash if enlarged else None
        return open_run(folder, finished=False).target["stage1_hash"] == wanted

    def done() -> bool:
        there = (enlarged is None or enlarged.is_dir()) and is_done(folder, "classifier", options, work.prepared)
        return there and current()

    def act() -> None:
        if (folder / "run.json").is_file() and not current():
            remove(folder)  # learnt from an enlarged set that is no more
        train(
            "classifier",
            stage1=enlarged,
            data=work.prepared.folder,
            run_dir=folder,
            resume=(folder / "run.json").is_file(),
            quiet=work.quiet,
            **options,
        )
        _drop_checkpoints(work, [folder])

    label = f"run {number}: {method}" + (f", seed {own}" if work.seeds > 1 else "")
    return label, done, act


def _drop_checkpoints(work: Study, folders: Sequence[Path]) -> None:
    """Of finished runs: optimizer moments make up most of a run's hundreds of megabytes."""
    if not work.keep_checkpoints:
        for folder in folders:
            remove(folder / "checkpoints")


# ---- Table 6 --------------------------------------------------------------------------------------------------------


def _similarity_is_current(work: Study, number: int) -> bool:
    path = work.run(number) / "similarity.json"
    return path.is_file() and read_note(path)["made_from"] == _made_from(work, number)


def _made_from(work: Study, number: int) -> dict[str, Any]:
    """What similarity.json depends on."""
    settings = work.settings_with(f"study.partition={number}")
    sets = {mask: open_enlarged(work.run(number) / f"enlarged-a{suffix}").hash for mask, suffix in MASKS.items()}
    own = settings.autoencoder.model_dump(mode="json")
    return {"autoencoder": own, "enlarged": sets, "data": work.prepared.hash}


def _measure_similarity(work: Study, number: int, chosen: tuple[str, ...]) -> None:
    """PSNR and DAEF of each enlarged set of case a against the real images behind it, into similarity.json."""
    settings, prepared = work.settings_with(*chosen), work.prepared
    names = modalities_of(prepared, settings)
    with devices.numerics(settings.autoencoder):
        encoder = autoencoder.train_autoencoder(
            settings, prepared, names, work.run(number) / "autoencoder", quiet=work.quiet
        )
    found: dict[str, Any] = {"data": prepared.manifest.origin, "made_from": _made_from(work, number)}
    for mask, suffix in MASKS.items():
        enlarged = open_enlarged(work.run(number) / f"enlarged-a{suffix}")
        measured = _likeness(encoder, prepared, enlarged, names)
        tests = [
            _test_quality(folder) for folder in sorted((work.run(number) / f"gans-a{suffix}").glob("*/metrics.json"))
        ]
        test = {name: float(np.mean([each[name] for each in tests])) for name in ("psnr", "psnr_tumour")}
        found[mask] = {"S2": measured, "test": test}
    write_text(work.run(number) / "similarity.json", json.dumps(found, indent=1))
    if not work.keep_checkpoints:
        remove(work.run(number) / "autoencoder" / "checkpoints")


def _likeness(encoder: keras.Model, prepared: Prepared, enlarged: Enlarged, names: Sequence[str]) -> dict[str, float]:
    """PSNR (mean over images) and DAEF of fake patients against the real ones behind them, whole image and tumour."""
    by_name = {visit.name: visit for visit in prepared.manifest.visits}
    fakes = enlarged.manifest.visits
    sources = list(dict.fromkeys(visit.source for visit in fakes))
    real = pipeline.arrays_of(prepared, [by_name[name] for name in sources], names)
    behind = pipeline.arrays_of(prepared, [by_name[visit.source] for visit in fakes], names)
    fake = pipeline.arrays_of(enlarged, fakes, names)
    ratios = {
        "psnr": [psnr(behind[name], fake[name], RANGE) for name in names],
        "psnr_tumour": [psnr(behind[name], fake[name], RANGE, fake["tumour"]) for name in names],
    }
    stacks = {
        key: np.stack([arrays[name] for name in names], axis=-1) for key, arrays in (("real", real), ("fake", fake))
    }
    tumours = {"real": real["tumour"], "fake": fake["tumour"]}
    whole = {key: autoencoder.features(encoder, stack) for key, stack in stacks.items()}
    inside = {
        key: autoencoder.features(encoder, autoencoder.tumour_only(stack, tumours[key]))
        for key, stack in stacks.items()
    }
    return {name: float(np.nanmean(np.concatenate(values))) for name, values in ratios.items()} | {
        "daef": autoencoder.daef(whole["real"], whole["fake"]),
        "daef_tumour": autoencoder.daef(inside["real"], inside["fake"]),
    }


def _test_quality(path: Path) -> dict[str, float]:
    """A pair's PSNR on test patients, the mean of its directions."""
    quality = read_note(path)["quality"].values()
    return {
        name: float(np.mean([direction["test"][name]["mean"] for direction in quality if name in direction["test"]]))
        for name in ("psnr", "psnr_tumour")
    }


# ---- tables ---------------------------------------------------------------------------------------------------------


def _write_tables(work: Study, numbers: Sequence[int], cases: Sequence[str]) -> None:
    settings = work.settings
    trials = [trial for number in numbers for trial in _trials(work, number, cases)]
    methods = [name for case in cases for name in METHODS[case]]
    tables = [study.table_2(trials, methods)]
    tables += [study.runs_table(trials, case, settings.evaluation) for case in cases]
    if "a" in cases:
        similar = [read_note(work.run(n) / "similarity.json") for n in numbers]
        tables.append(study.table_5(trials))
        tables.append(study.table_6({mask: [run[mask] for run in similar] for mask in MASKS}))
    origin = work.prepared.manifest.origin
    first = open_run(_classifier_folder(work, numbers[0], METHODS[cases[0]][0], 0)).settings
    gan = next(iter(pair_runs(work.run(numbers[0]) / f"gans-{cases[0]}").values())).settings
    length = (
        f"{len(numbers)} of the paper's 5 runs, {work.seeds} seed(s); GANs {gan.training.epochs} epochs (1000), "
        f"classifier {first.classifier.stage1.epochs} + {first.classifier.stage2.epochs} (100 + 50), "
        f"images of {first.data.size} (128)"
    )
    work.write_tables("Ge et al. 2020", length, tables)
    content = {"data": origin, "length": length, "trials": [asdict(trial) for trial in trials]}
    write_text(work.folder / "results.json", json.dumps(content, indent=1))
    _draw_figure_7(work, work.run(numbers[0]) / f"gans-{cases[0]}", settings)


def _trials(work: Study, number: int, cases: Sequence[str]) -> list[Trial]:
    """The test results of a run of the study, and of the radiomics forest on the same patients."""
    found = []
    for case in cases:
        for method in (*METHODS[case], *([UNMASKED] if case == "a" else [])):
            for seed in range(work.seeds):
                folder = _classifier_folder(work, number, method, seed)
                measured = read_note(folder / "metrics.json")["test"]["patients"]
                with (folder / "patients.csv").open(newline="", encoding="utf-8") as file:
                    right = {
                        r["patient"]: r["truth"] == r["decision"] for r in csv.DictReader(file) if r["subset"] == "test"
                    }
                measures = {name: value for name, value in measured.items() if isinstance(value, float)}
                found.append(Trial(method, number, seed, str(folder.relative_to(work.folder)), measures, right))
    settings = work.settings
    patients, truth, score, decision = study_prediction(
        work.prepared, number, modalities_of(work.prepared, settings), settings.classifier
    )
    right = dict(zip(patients, (truth == decision).tolist(), strict=True))
    found.append(Trial(study.FOREST, number, 0, "", summarise(truth, score, decision), right))
    return found


def _draw_figure_7(work: Study, gans: Path, settings) -> None:
    """Figure 7: in each row a real test slice (red box) and what is made from it in the other modalities."""
    names, runs = modalities_of(work.prepared, settings), pair_runs(gans)
    first = next(iter(runs.values())).settings
    visit = work.prepared.visits("test", first.study.partition, names)[0]
    arrays = pipeline.arrays_of(work.prepared, [visit], names)
    slices = np.linspace(0, len(visit.slices) - 1, len(names)).round().astype(int)
    rows = []
    for real, at in zip(names, slices, strict=True):
        images = {DISPLAY[real]: arrays[real][at]}
        for target in names:
            if target != real:
                path = runs[frozenset((real, target))].folder / "generators" / f"{real}_to_{target}.keras"
                translate = translator(load_network(path))
                images[DISPLAY[target]] = translate(arrays[real][at : at + 1])[0]
        rows.append((DISPLAY[real], images))
    title = (
        f"Figure 7: {work.prepared.manifest.origin}, a test patient: real in red, the others made from it, by GANs of "
        f"{first.training.epochs} epochs"
    )
    boxed_grid(work.folder / "figure7.png", rows, [DISPLAY[name] for name in names], title)
