"""Engines run a network: crops uint8 (N, S, S, 3) in, class probabilities out."""

from engines.engine import Engine, EngineError, EngineSpec, EngineUnavailable
from engines.loader import BACKENDS, load_engine

__all__ = ["BACKENDS", "Engine", "EngineError", "EngineSpec", "EngineUnavailable", "load_engine"]
