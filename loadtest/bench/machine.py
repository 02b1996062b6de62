"""Describe what figures were measured on, and with which versions."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from loadtest.servers import ROOT
from loadtest.verdict import machine

VECTOR_INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "asimd", "asimddp")
"""Processor features, by their Linux names, on which the choice of search instructions depends."""

LIBRARIES = (
    *("fastapi", "starlette", "uvicorn", "uvloop", "httptools", "msgspec", "numpy", "onnxruntime"),
    *("redis", "hiredis", "prometheus-client"),
)


def describe_machine() -> dict[str, Any]:
    """Describe the processor, its caches as far as the kernel tells, cores, memory, kernel, and load."""
    return {
        **machine(),
        "kernel": platform.release(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "cache": _cpuinfo("cache size"),
        "vector_instructions": [flag for flag in VECTOR_INSTRUCTIONS if flag in _features()],
        "load_average_before": [round(load, 2) for load in os.getloadavg()],
    }


def describe_code() -> dict[str, Any]:
    """Describe the revision, library versions and date."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "revision": _git("rev-parse", "HEAD"),
        "has_uncommitted_changes": bool(_git("status", "--porcelain")),
        "libraries": {name: found for name in LIBRARIES if (found := _version(name))},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git(*words: str) -> str | None:
    """Run git; None outside a repository or without git."""
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, timeout=20)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _features() -> list[str]:
    """List processor features, which x86 and ARM name differently."""
    return (_cpuinfo("flags") or _cpuinfo("Features")).split()


def _cpuinfo(field: str) -> str:
    """Return a field of the first processor; "" if the kernel does not tell."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")
