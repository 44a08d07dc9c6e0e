"""One paper, one folder. `MODELS` is the list of what can be trained; importing it loads no TensorFlow."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kerasgan.errors import UserError, nearest
from kerasgan.papers.aggrgan.settings import AggrganSettings
from kerasgan.papers.brainmr.settings import BrainmrSettings
from kerasgan.papers.featuregan.settings import FeatureganSettings
from kerasgan.papers.pairwise.settings import PairwiseSettings
from kerasgan.papers.pggan.settings import PgganSettings
from kerasgan.settings import Section, configs_folder, load


@dataclass(frozen=True)
class Card:
    """What `kerasgan models` says of a model."""

    paper: str
    doi: str
    sections: str  # of the paper, where the model is described
    module: str  # where to read it
    command: str
    config: str  # configs/CONFIG.yaml, which models of one paper share
    settings: type[Section]  # its schema
    decided_by: tuple[str, ...]  # the sections of the configuration on which a run depends
    section: str = "training"  # that with a run's seed and precision
    data: Literal["slices", "features"] = "slices"  # what it learns from: a prepared folder, or features of a U-Net


# What the models of one paper share.
_GE = {
    "paper": "Ge et al. 2020, Enlarged Training Dataset by Pairwise GANs for Molecular-Based Brain Tumor "
    "Classification",
    "doi": "10.1109/ACCESS.2020.2969805",
    "config": "pairwise",
    "settings": PairwiseSettings,
}
_HAN = {
    "paper": "Han et al. 2018, GAN-based Synthetic Brain MR Image Generation",
    "doi": "10.1109/ISBI.2018.8363678",
    "config": "brainmr",
    "settings": BrainmrSettings,
}
_MEHRA = {
    "paper": "Mehra, Soliman, Sahoo 2022, Data Augmentation using Feature Generation for Volumetric Medical Images",
    "doi": "arXiv 2209.14097",
    "config": "featuregan",
    "settings": FeatureganSettings,
}
MODELS: dict[str, Card] = {
    "pairwise": Card(
        **_GE,
        sections="II-B, III-A1, III-E2",
        module="kerasgan.papers.pairwise",
        command="kerasgan train pairwise --pair t1 t1e",
        decided_by=("data", "split", "study", "loss", "training", "synthesis"),
    ),
    "classifier": Card(
        **_GE,
        sections="II-C, II-D, III-A1",
        module="kerasgan.papers.pairwise.classifier",
        command="kerasgan train classifier --stage1 enlarged/",
        decided_by=("data", "split", "study", "classifier", "evaluation"),
        section="classifier",
    ),
    **{
        name: Card(
            **_HAN,
            sections="3.2",
            module="kerasgan.papers.brainmr",
            command=f"kerasgan train {name} --sequence t1",
            decided_by=("data", "split", "study", "network", name),
            section=name,
        )
        for name in ("dcgan", "wgan")
    },
    **{
        name: Card(
            paper="Mukherjee et al. 2022, Brain tumor image generation using an aggregation of GAN models with style "
            "transfer",
            doi="10.1038/s41598-022-12646-y",
            sections="Methodology",
            module="kerasgan.papers.aggrgan",
            command=f"kerasgan train {name} --class glioma",
            config="aggrgan",
            settings=AggrganSettings,
            decided_by=("data", "split", "study", "network", name),
            section=name,
        )
        for name in ("dcgan1", "dcgan2", "wgandiv", "lsgan", "infogan")
    },
    "unet": Card(
        **_MEHRA,
        sections="3.1, 3.5, 3.6, 4.1",
        module="kerasgan.papers.featuregan.segmentation",
        command="kerasgan train unet",
        decided_by=("data", "split", "study", "unet"),
        section="unet",
    ),
    "acgan": Card(
        **_MEHRA,
        sections="3.2, 4.2",
        module="kerasgan.papers.featuregan.generation",
        command="kerasgan train acgan --features features/ --width 512",
        decided_by=("study", "acgan"),
        section="acgan",
        data="features",
    ),
    "feature-classifier": Card(
        **_MEHRA,
        sections="3.3, 4.2.4",
        module="kerasgan.papers.featuregan.classification",
        command="kerasgan train feature-classifier --features features/",
        decided_by=("study", "feature_classifier", "linear"),
        section="feature_classifier",
        data="features",
    ),
    "pggan": Card(
        paper="Alam, Hossain, Kobashi, Synthetic Brain Image Generation for ADHD prediction based on Progressive "
        "Growing Generative Adversarial Network",
        doi="no DOI known",
        sections="3.1, 4.1",
        module="kerasgan.papers.pggan",
        command="kerasgan train pggan",
        config="pggan",
        settings=PgganSettings,
        decided_by=("data", "split", "study", "network", "pggan"),
        section="pggan",
    ),
}


# What is trained together under one name.
ENSEMBLES: dict[str, tuple[str, ...]] = {"aggrgan": ("dcgan1", "dcgan2", "wgandiv")}


def card(model: str) -> Card:
    """The card of a model, for an ensemble that of its first; an unknown name is a `UserError`."""
    name = ENSEMBLES.get(model, (model,))[0]
    if name not in MODELS:
        raise UserError(f"unknown model {model!r}; {nearest(model, (*MODELS, *ENSEMBLES))}")
    return MODELS[name]


def settings_of(
    model: str, config: str | Path | None = None, profile: str = "full", overrides: Sequence[str] = ()
) -> Section:
    """The validated settings of `model`: `config` (default: the shipped YAML), then the profile, then the overrides."""
    path = Path(config) if config else configs_folder() / f"{card(model).config}.yaml"
    return load(card(model).settings, path, profile, overrides)
