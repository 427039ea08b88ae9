"""A checkpoint's compiled network from the user's cache, built and compared where it is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from engines.cache import EngineCache, Entry, Key
from engines.eager import eager
from engines.engine import EngineOptions, EngineUnavailable, Infer
from engines.parity import Parity, compare, sample_crops
from stn_icnn.checkpoint import Checkpoint, load_network

if TYPE_CHECKING:
    from stn_icnn.network import STNiCNN


def obtain(
    checkpoint: Checkpoint,
    options: EngineOptions,
    key: Key,
    write: Callable[[STNiCNN, Path], None],
    run: Callable[[Path], Infer],
) -> Entry:
    """Return a checkpoint's compiled network from the user's cache, building it where it is missing.

    Args:
        checkpoint: what to compile.
        options: see `EngineOptions`.
        key: what the result depends on.
        write: writes the compiled network into a folder.
        run: opens what was written, to compare it with eager.

    Raises:
        EngineUnavailable: if there is none yet and it must not be built, or PyTorch, which building needs,
            is missing.
        EngineError: if it can't be built or differs from eager by too much.
    """

    def build(folder: Path) -> Parity:
        try:
            network = load_network(checkpoint)
        except ImportError as error:
            raise EngineUnavailable(
                f"no {key.backend} network of {checkpoint.path.name} yet, and building one needs PyTorch "
                f"({error}); pip install '.[train]'"
            ) from None
        write(network, folder)
        return compare(run(folder), eager(network), sample_crops(network.config.packing))

    cache = EngineCache(report=options.report)
    if options.build:
        return cache.obtain(key, build)
    found = cache.find(key)
    if found is None:
        raise EngineUnavailable(f"not compiled yet; python -m engines build --backend {key.backend}")
    return found
