"""Part-aware effects: one file each, and the registry that parses what users write."""

from realtime.effects.effect import Effect
from realtime.effects.registry import EFFECTS, describe_effects, parse_effect

__all__ = ["EFFECTS", "Effect", "describe_effects", "parse_effect"]
