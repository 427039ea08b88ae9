"""Part-aware effects: one file each, and the registry that parses what users write."""

from realtime.effects.effect import Cutting, Effect, Prepared, with_strength
from realtime.effects.registry import (
    EFFECTS,
    describe_effects,
    effect_name,
    format_effect,
    need_the_whole_head,
    parse_effect,
)

__all__ = [
    "EFFECTS",
    "Cutting",
    "Effect",
    "Prepared",
    "describe_effects",
    "effect_name",
    "format_effect",
    "need_the_whole_head",
    "parse_effect",
    "with_strength",
]
