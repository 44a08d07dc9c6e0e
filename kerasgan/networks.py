"""Networks in .keras files."""

from pathlib import Path

import keras

from kerasgan.errors import UserError


def read_network(path: Path, advice: str) -> keras.Model:
    """The network in a .keras file; one that is missing or damaged is a `UserError` that ends in `advice`."""
    if not path.is_file():
        raise UserError(f"there is no file {path}; {advice}")
    try:
        # safe_mode: a .keras file that holds code is refused.
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # archive, JSON, HDF5 and Keras have each their own
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{path} cannot be read ({reason}); {advice}") from None
