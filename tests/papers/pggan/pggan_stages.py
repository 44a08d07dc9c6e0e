"""Tasks of PGGAN on the tiny cohort, and stages that have learnt."""

from dataclasses import replace

from kerasgan.data.prepare import open_prepared
from kerasgan.gan import checkpoint
from kerasgan.gan.checkpoint import Position
from kerasgan.papers import settings_of
from kerasgan.papers.pggan.training import PgganTask


def maker(patches_folder, pggan_overrides):
    def task(*more, change=None):
        """A task of the tiny cohort; `change` is made to a copy of its manifest."""
        settings = settings_of("pggan", overrides=[*pggan_overrides, *more])
        prepared = open_prepared(patches_folder, settings.data)
        if change:
            prepared = replace(prepared, manifest=prepared.manifest.model_copy(deep=True))
            change(prepared.manifest)
        return PgganTask(settings, prepared, {})

    return task


def learnt(stage, folder, steps=0):
    """The model of a stage after some steps, saved as `fit` saves it."""
    gan = stage.build(folder)
    for batch in stage.batches(Position()).take(steps):
        gan.train_step(batch)
    checkpoint.save(folder / stage.name / "latest.npz", gan.state(), Position(stage.epochs))
    return gan


def without(value, subset):
    """A change of the manifest: a subset has none of the patients of a class."""

    def change(manifest):
        label = {visit.patient: visit.labels["idh"] for visit in manifest.visits}
        partition = manifest.partitions[0]
        partition[subset] = [patient for patient in partition[subset] if label[patient] != value]

    return change
