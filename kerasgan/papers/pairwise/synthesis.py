"""Whole volumes through a trained generator, and which generator makes a missing modality (Ge 2020, II-B1)."""

from collections.abc import Callable, Collection, Sequence

import numpy as np

from kerasgan.data import slices
from kerasgan.data.settings import SliceSettings
from kerasgan.data.volumes import Volume
from kerasgan.errors import UserError
from kerasgan.papers.pairwise.settings import SynthesisSettings


def translate_volume(
    translate: Callable[[np.ndarray], np.ndarray],
    volume: Volume,
    views: Sequence[str],
    settings: SliceSettings,
    advance: Callable[[int], object] = lambda count: None,
    batch_size: int = 16,
) -> np.ndarray:
    """A volume in another modality: float32 (x, y, z), canonical axes, on the source's intensity scale.

    Every slice with brain goes through `translate` ((n, size, size) in [-1, 1] to the same), in the geometry of the
    training slices, and back onto the volume's grid; with several views the result is their mean. MR intensities have
    no unit, so black and white of the result are those of the source (the percentiles of `settings`), and background
    stays 0. `advance(count)` is called after each batch of slices.
    """
    slices.refuse_patches(settings, "volumes")
    low, high = slices.intensity_range(volume.data, settings.percentiles)
    brain = volume.data != 0
    spacing = tuple(np.linalg.norm(volume.affine[:3, :3], axis=0))
    total = np.zeros(volume.data.shape, np.float32)
    for view in views:
        frame = slices.Frame.of(volume.data.shape, spacing, view, settings.size, settings.aspect)
        source, target = slices.stack(volume.data, view), slices.stack(total, view)
        wanted = np.flatnonzero(slices.stack(brain, view).any(axis=(1, 2)))
        for start in range(0, len(wanted), batch_size):
            chosen = wanted[start : start + batch_size]
            images = frame.fit(slices.normalise(source[chosen], low, high)) * 2 - 1
            # Written through `stack`'s view into `total`.
            target[chosen] += frame.restore((translate(images) + 1) / 2)
            advance(len(chosen))
    total *= (high - low) / len(views)
    total += low
    return np.where(brain, total, np.float32(0))


def slices_with_brain(volume: Volume, views: Sequence[str]) -> int:
    """How many slices `translate_volume` will translate."""
    brain = volume.data != 0
    return sum(int(slices.stack(brain, view).any(axis=(1, 2)).sum()) for view in views)


def source_for(target: str, available: Collection[str], policy: SynthesisSettings) -> str:
    """The modality from which a missing `target` is made: the first of the policy's that the patient has."""
    order = getattr(policy, target)
    for source in order:
        if source in available:
            return source
    raise UserError(
        f"{target} cannot be made: the patient has {', '.join(available) or 'no image'}, none of {', '.join(order)}"
    )
