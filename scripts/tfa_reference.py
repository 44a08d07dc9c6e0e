"""What tensorflow-addons makes of small images, for tests/data/test_warping.py. Called by scripts/tfa_reference."""

import json
import os
import platform
import sys
import warnings

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
warnings.filterwarnings("ignore", message="(?s).*TensorFlow Addons")

import numpy as np  # noqa: E402 (after the settings that keep TensorFlow quiet)
import tensorflow as tf  # noqa: E402
import tensorflow_addons as tfa  # noqa: E402

FILL = -0.5


def inputs() -> dict[str, np.ndarray]:
    """Two images of random numbers, and the parameters of the operations; angles in radians, translations as (x, y)."""
    rng = np.random.default_rng(2015)
    return {
        "images": rng.normal(size=(2, 16, 20, 3)).astype(np.float32),
        "fill": np.float32(FILL),
        "angles": np.array([0.35, -2.1], np.float32),
        "translations": np.array([[1.3, -2.6], [-4.0, 3.0]], np.float32),
        "shear_level": np.float32(0.23),
        "flow": rng.normal(0, 3, size=(2, 16, 20, 2)).astype(np.float32),  # some of it leads out of the image
        "sigmas": np.array([0.8, 1.5], np.float32),
    }


def results(given: dict[str, np.ndarray]) -> dict[str, tf.Tensor]:
    """The operations' outputs, named after them."""
    images, fill, one = given["images"], float(given["fill"]), given["images"][0]
    found = {}
    for way in ("bilinear", "nearest"):
        found[f"rotate_{way}"] = tfa.image.rotate(images, given["angles"], way, fill_value=fill)
        found[f"translate_{way}"] = tfa.image.translate(images, given["translations"], way, fill_value=fill)
    level = given["shear_level"]
    found["shear_x"] = tfa.image.shear_x(one, level, fill)  # knows the nearest pixel only
    found["shear_x_bilinear"] = tfa.image.transform(one, [1, level, 0, 0, 1, 0, 0, 0], "bilinear", fill_value=fill)
    found["dense_image_warp"] = tfa.image.dense_image_warp(images, given["flow"])
    for number, sigma in enumerate(given["sigmas"]):
        taps = 2 * int(4 * sigma + 0.5) + 1  # SciPy's width: 4 sigma to either side
        for padding in ("CONSTANT", "REFLECT"):
            name = f"gaussian_filter2d_{padding.lower()}_{number}"
            found[name] = tfa.image.gaussian_filter2d(one, taps, float(sigma), padding)
    return found


def main(path: str) -> None:
    given = inputs()
    versions = {
        "tensorflow": tf.__version__,
        "tensorflow-addons": tfa.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    aside = f"{path}.partial"
    with open(aside, "wb") as file:
        arrays = {name: np.asarray(value) for name, value in results(given).items()}
        np.savez_compressed(file, versions=json.dumps(versions), **given, **arrays)
    os.replace(aside, path)
    print(f"wrote {path}: {os.path.getsize(path)} bytes, made with {versions}")


main(sys.argv[1])
