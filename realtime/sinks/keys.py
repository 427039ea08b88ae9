"""The keys of the window: what each does, whatever numbers the toolkit gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

# Of cv2.waitKeyEx: GTK and Qt, Windows, macOS.
ARROWS: Mapping[str, frozenset[int]] = {
    "left": frozenset({0xFF51, 0x250000, 63234}),
    "up": frozenset({0xFF52, 0x260000, 63232}),
    "right": frozenset({0xFF53, 0x270000, 63235}),
    "down": frozenset({0xFF54, 0x280000, 63233}),
}
# A keypad's arrows under X.
KEYPAD = {0xFF96: "left", 0xFF97: "up", 0xFF98: "right", 0xFF99: "down"}


def key_name(code: int) -> str:
    """Return "left", "up", "right", "down", "escape" or the character of a code of `cv2.waitKeyEx`.

    An empty name is no key, or one without a meaning.
    """
    if code < 0:
        return ""
    # Above 16 bits X tells NumLock and the like, but Windows the arrows themselves.
    plain = code if code & 0xFFFF == 0 else code & 0xFFFF
    for name, codes in ARROWS.items():
        if plain in codes:
            return name
    if plain in KEYPAD:
        return KEYPAD[plain]
    # A keypad's digits under X.
    if 0xFFB0 <= plain <= 0xFFB9:
        return chr(plain - 0xFFB0 + ord("0"))
    if plain == 27:
        return "escape"
    return chr(plain) if 32 <= plain < 127 else ""


def dispatch(name: str, actions: Mapping[str, Callable[[], None]], digit: Callable[[int], None]) -> bool:
    """Do what a key is for; say whether it was for anything.

    Args:
        name: see `key_name`.
        actions: by name.
        digit: given 0 for the key 1, up to 9 for the key 0.
    """
    if len(name) == 1 and name.isdigit():
        digit((int(name) - 1) % 10)
        return True
    action = actions.get(name)
    if action is not None:
        action()
    return action is not None
