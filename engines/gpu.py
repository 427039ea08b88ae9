"""Is there an NVIDIA GPU? Asked of the driver itself, so that the answer needs no torch."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

from engines.engine import EngineUnavailable


@dataclass(frozen=True)
class Gpu:
    """The first GPU that the driver shows.

    Attributes:
        name: as the driver gives it.
        capability: compute capability, such as "9.0".
        cuda: highest CUDA version that the driver runs, as it gives it: 12020 for 12.2, 13000 for 13.0.
    """

    name: str
    capability: str
    cuda: int

    def __str__(self) -> str:
        """Return what networks compiled for just this card depend on."""
        return f"{self.name}, compute capability {self.capability}"

    @property
    def target(self) -> str:
        """Return what networks compiled for all cards of its kind depend on, such as "sm90"."""
        return f"sm{self.capability.replace('.', '')}"

    @property
    def cuda_version(self) -> str:
        """Return `cuda` for people."""
        return f"{self.cuda // 1000}.{self.cuda % 1000 // 10}"


def find_gpu() -> Gpu:
    """Return the first NVIDIA GPU.

    Raises:
        EngineUnavailable: if there is no driver or no GPU; the message says which.
    """
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        cuda = ctypes.CDLL(library)
    except OSError:
        raise EngineUnavailable(f"no NVIDIA driver ({library} not found)") from None
    count, device = ctypes.c_int(), ctypes.c_int()
    if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        raise EngineUnavailable("the NVIDIA driver shows no GPU")
    name = ctypes.create_string_buffer(256)
    major, minor, version = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    failed = (
        cuda.cuDeviceGet(ctypes.byref(device), 0)
        or cuda.cuDeviceGetName(name, len(name), device)
        # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR.
        or cuda.cuDeviceGetAttribute(ctypes.byref(major), 75, device)
        or cuda.cuDeviceGetAttribute(ctypes.byref(minor), 76, device)
        or cuda.cuDriverGetVersion(ctypes.byref(version))
    )
    if failed:
        raise EngineUnavailable(f"the NVIDIA driver does not answer (error {failed})")
    return Gpu(name.value.decode(errors="replace"), f"{major.value}.{minor.value}", version.value)
