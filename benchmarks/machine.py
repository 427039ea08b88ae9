"""What a benchmark ran on: hardware, versions, commit, and how busy it was."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from engines import EngineUnavailable
from engines.gpu import find_gpu
from engines.loader import available_cores
from engines.openvino import MAX_ISA

ISAS = {"avx2": "AVX2", "avx2-vnni": "AVX2_VNNI", "avx512": "AVX512_CORE", "avx512-vnni": "AVX512_CORE_VNNI"}
"""Instructions that OpenVINO can be held to, and what oneDNN calls them."""

PACKAGES = ("numpy", "opencv-python", "openvino", "onnxruntime", "torch", "mediapipe", "av", "nncf")


def describe_machine() -> dict[str, Any]:
    """Return what the figures depend on, ready for JSON."""
    return {
        "cpu": _cpu_name(),
        "held_to": os.environ.get(MAX_ISA),
        "cores": available_cores(),
        "memory_gb": round(_memory_bytes() / 1e9, 1),
        "gpu": _gpu_name(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "commit": _commit(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "load": load(),
    }


def machine_lines(machine: dict[str, Any]) -> list[str]:
    """Return the description as lines for people."""
    versions = ", ".join(f"{name} {found}" for name, found in machine["versions"].items())
    cores = f"{machine['cores']} cores, {machine['memory_gb']} GB, GPU: {machine['gpu'] or 'none'}"
    held = f"; OpenVINO held to {machine['held_to']}" if machine.get("held_to") else ""
    return [
        f"{machine['cpu']}, {cores}{held}; load at start {machine['load']}",
        f"commit {machine['commit']}, {machine['started']}, {machine['system']}",
        f"Python {machine['python']}, {versions}",
    ]


def hold_to(isa: str) -> None:
    """Let OpenVINO's library of kernels (oneDNN) use no newer instructions, here and in what is started.

    Nothing may have been computed before. A few nodes that are OpenVINO's own still use AVX-512, and other
    libraries are not held: `python -m benchmarks engine --profile` names every kernel.

    Args:
        isa: a name of `ISAS`.
    """
    os.environ[MAX_ISA] = ISAS[isa]


def load() -> float | None:
    """Return how many processes wanted a core over the last minute; None where that isn't known."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def peak_memory() -> int:
    """Return the most memory that this process held, bytes."""
    status = Path("/proc/self/status")
    if status.is_file():
        # Not getrusage: on Linux it remembers what the parent held when it forked.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def cpu_features() -> list[str]:
    """Return the processor's vector instructions that int8 networks profit from."""
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8")
    flags = _cpuinfo("flags").split()
    return [name for name in wanted if name in flags]


@contextlib.contextmanager
def held_on_cores(count: int) -> Iterator[None]:
    """Hold every thread of this process, and those it starts meanwhile, on so many cores.

    The one setting of threads that all libraries obey, also those that offer none.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = sorted(os.sched_getaffinity(os.getpid()))
    _hold(cores[:count])
    try:
        yield
    finally:
        _hold(cores)


def _hold(cores: Sequence[int]) -> None:
    for task in Path("/proc/self/task").iterdir():
        # A thread may end meanwhile.
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(task.name), cores)


def _cpu_name() -> str:
    name = _cpuinfo("model name") or platform.processor() or platform.machine()
    features = cpu_features()
    return f"{name} ({', '.join(features)})" if features else name


def _cpuinfo(key: str) -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")


def _memory_bytes() -> int:
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" not in names:
        return 0
    return int(np.prod([os.sysconf(name) for name in ("SC_PHYS_PAGES", "SC_PAGE_SIZE")]))


def _gpu_name() -> str | None:
    try:
        return find_gpu().name
    except EngineUnavailable:
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit that runs, with a plus where files differ from it."""
    root = Path(__file__).parent
    try:
        commit = _git(root, "rev-parse", "--short=10", "HEAD")
        return commit + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
