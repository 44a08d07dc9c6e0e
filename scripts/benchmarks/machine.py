"""What the numbers of a run belong to: processor, cores and versions. Nothing that names the machine."""

import os
import platform
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("kerasgan", "tensorflow", "keras", "torch", "numpy", "nibabel", "scikit-image")


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def describe() -> str:
    """One line for the head of a table."""
    found = [f"{name} {_version(name)}" for name in PACKAGES if _version(name)]
    busy = os.getloadavg()[0]
    return (
        f"{date.today().isoformat()}: {_processor()}, {cores()} cores, load {busy:.1f} beforehand; "
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
