"""TensorFlow's first import without its start-up chatter.

Its C++ libraries write notes on missing GPU drivers and oneDNN straight to file descriptor 2, whatever the log level,
when they are loaded and when devices are first listed. None of them asks the user to do anything.
"""

import os
import sys
import tempfile


def load_tensorflow() -> None:
    """Import TensorFlow and list its devices with standard error set aside; shown after all if the import fails."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if "tensorflow" in sys.modules:
        return
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            import tensorflow as tf  # the one import in a function outside the CLI: it must happen in here

            tf.config.list_physical_devices()
        except Exception:
            aside.seek(0)
            os.write(terminal, aside.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
