"""What the page may say: an offer by HTTP, and how it wants to look by the data channel. Nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeGuard

from realtime.effects import Effect, parse_effect
from realtime.errors import UsageError

# Far more than any page of ours needs.
MOST_EFFECTS, LONGEST_EFFECT = 20, 200
LONGEST_LOOK, LONGEST_OFFER = 8_000, 32_000
# The page makes photos smaller.
MOST_PIXELS = 1280 * 1280
# Each candidate is an address that gets packets.
MOST_CANDIDATES = 40


@dataclass(frozen=True)
class Wish:
    """How a visitor wants to be seen.

    Attributes:
        effects: in the order they are painted.
        mirror: left and right exchanged, as in a mirror.
        split: share of the width, from the left, that is shown as captured; 0 to 1.
    """

    effects: tuple[Effect, ...] = ()
    mirror: bool = False
    split: float = 0.0


def read_wish(text: object) -> Wish:
    """Read a message of the data channel, such as {"effects": ["lips:strength=0.4"], "split": 0.5}.

    Raises:
        UsageError: if it is anything else, or an effect names a file.
    """
    if not isinstance(text, str) or len(text) > LONGEST_LOOK:
        raise UsageError(f"a message is text of at most {LONGEST_LOOK} characters")
    content = _object(text, {"effects", "mirror", "split"})
    effects, mirror, split = content.get("effects", []), content.get("mirror", False), content.get("split", 0)
    texts = (
        [item for item in effects if _is_text(item, LONGEST_EFFECT)] if isinstance(effects, list) else None
    )
    if texts is None or len(texts) < len(effects) or len(texts) > MOST_EFFECTS:
        raise UsageError(f"effects are a list of at most {MOST_EFFECTS} short texts")
    if not isinstance(mirror, bool):
        raise UsageError("mirror is true or false")
    if isinstance(split, bool) or not isinstance(split, int | float) or not 0 <= split <= 1:
        raise UsageError("split is a number from 0 to 1")
    return Wish(tuple(parse_effect(item, files=False) for item in texts), mirror, float(split))


def read_size(width: str, height: str) -> tuple[int, int]:
    """Read the size of a photo that is sent as pixels.

    Raises:
        UsageError: if it is none, or too large.
    """
    if not all(re.fullmatch(r"[1-9][0-9]{0,3}", text) for text in (width, height)):
        raise UsageError("a photo has a width and a height")
    size = int(width), int(height)
    if size[0] * size[1] > MOST_PIXELS:
        raise UsageError(f"a photo has at most {MOST_PIXELS} pixels")
    return size


def read_offer(text: str) -> str:
    """Read the body of a request, {"type": "offer", "sdp": ...}; return the session description.

    Raises:
        UsageError: if it is anything but an offer of one video, with a data channel or without.
    """
    content = _object(text, {"type", "sdp"})
    sdp = content.get("sdp")
    if content.get("type") != "offer" or not _is_text(sdp, LONGEST_OFFER):
        raise UsageError('an offer is {"type": "offer", "sdp": "..."}')
    lines = sdp.splitlines()
    media = sorted(line.split(" ")[0] for line in lines if line.startswith("m="))
    if media not in (["m=video"], ["m=application", "m=video"]):
        raise UsageError("an offer has one video, and a data channel beside it or none")
    if sum(line.startswith("a=candidate:") for line in lines) > MOST_CANDIDATES:
        raise UsageError(f"an offer has at most {MOST_CANDIDATES} candidates")
    return sdp


def _object(text: str, keys: set[str]) -> dict[str, Any]:
    try:
        content = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise UsageError("that is no JSON") from None
    if not isinstance(content, dict) or set(content) - keys:
        raise UsageError(f"that is no object of {', '.join(sorted(keys))}")
    return content


def _refuse(constant: str) -> Callable[[], None]:
    raise ValueError(constant)


def _is_text(item: object, longest: int) -> TypeGuard[str]:
    return isinstance(item, str) and len(item) <= longest
