"""Preparation of the tiny cohort as the pairwise model's small overrides say."""

from conftest import SMALL

from kerasgan.data.prepare import prepare
from kerasgan.papers import settings_of


def settings(*overrides):
    return settings_of("pairwise", overrides=[*SMALL, *overrides])


def run(cohort, out, *overrides, **options):
    chosen = settings(*overrides)
    return prepare(cohort, out, chosen.data, chosen.split, quiet=True, **options)
