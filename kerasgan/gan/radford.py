"""What networks after Radford et al. 2016 (DCGAN) share: maps that double from 4 x 4 pixels, first numbers."""

from collections.abc import Sequence

import keras

from kerasgan.errors import UserError

START = 4  # pixels of the first map


def levels_of(size: int, filters: Sequence[int]) -> list[int]:
    """The filters at 4 x 4, 8 x 8, ... pixels up to half of `size`, which must be a power of 2; else a `UserError`."""
    count = size.bit_length() - START.bit_length()
    if size != START << count or not 1 <= count <= len(filters):
        sizes = [START << (n + 1) for n in range(len(filters))]
        raise UserError(f"images of {size}x{size}: network.filters has {len(filters)} levels, for sizes {sizes}")
    return list(filters[:count])


def kernels() -> keras.initializers.Initializer:
    """A kernel's first numbers: normal with standard deviation 0.02 (section 4)."""
    return keras.initializers.RandomNormal(stddev=0.02)
