"""Static HDR metadata as the software encoders want it told."""

from __future__ import annotations

from fractions import Fraction

from realtime.media.light import Hdr

# Encoder -> its private options' name, and its words for mastering display and light levels.
FLAGS = {
    "libx264": ("x264-params", "mastering-display", "cll"),
    "libx265": ("x265-params", "master-display", "max-cll"),
    "libsvtav1": ("svtav1-params", "mastering-display", "content-light"),
}
# x265 talks on the terminal unless told not to.
ALWAYS = {"libx265": ["log-level=none"]}


def hdr_flag(encoder: str, hdr: Hdr | None) -> dict[str, str]:
    """Return the encoder's option that carries HDR metadata; empty where there is nothing to say."""
    if encoder not in FLAGS:
        return {}
    name, mastering, light = FLAGS[encoder]
    words = list(ALWAYS.get(encoder, []))
    if hdr is not None and hdr.mastering is not None:
        words.append(f"{mastering}={_mastering(hdr.mastering, exact=encoder != 'libsvtav1')}")
    if hdr is not None and hdr.light is not None:
        words.append(f"{light}={hdr.light[0]},{hdr.light[1]}")
    return {name: ":".join(words)} if words else {}


def _mastering(values: tuple[Fraction, ...], exact: bool) -> str:
    # The standard counts chromaticity in 1/50000 and luminance in 1/10000 cd/m2; SVT-AV1 wants decimals.
    scaled = [value * (50000 if index < 8 else 10000) for index, value in enumerate(values)]
    texts = [str(round(v)) for v in scaled] if exact else [f"{float(v):.6f}" for v in values]
    red, green, blue, white = (f"({texts[i]},{texts[i + 1]})" for i in (0, 2, 4, 6))
    return f"G{green}B{blue}R{red}WP{white}L({texts[9]},{texts[8]})"
