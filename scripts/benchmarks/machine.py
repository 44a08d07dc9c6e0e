"""What the numbers of a run belong to: processor, cores and versions. Nothing that names the machine."""

import os
import platform
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from kerasgan.threads import usable_cores

PACKAGES = ("kerasgan", "tensorflow", "keras", "torch", "numpy", "nibabel", "scikit-image")
BUSY = 0.5  # load average, from which on a table says so


def describe() -> str:
    """One line for the head of a table."""
    found = [f"{name} {_version(name)}" for name in PACKAGES if _version(name)]
    load = os.getloadavg()[0]
    # Measured under a load of 4 on 2 cores: PyTorch's step took 2 to 8 times as long, ours 1.3 to 1.7 times.
    busy = " (too busy: threads that wait for one another, as PyTorch's do, lose most)" if load > BUSY else ""
    return (
        f"{date.today().isoformat()}: {_processor()}, {usable_cores()} cores, load {load:.1f} beforehand{busy}; "
        f"Python {platform.python_version()}, {', '.join(found)}"
    )


def _processor() -> str:
    """The processor's model, and which instructions for products of bfloat16 it has."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    wide = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in facts.get("flags", "").split()]
    return " ".join([facts.get("model name", platform.machine()), *([f"({', '.join(wide)})"] if wide else [])])


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
