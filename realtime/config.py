"""What a run is made of: the front door's flags as one validated value."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from realtime.effects import Effect, parse_effect
from realtime.errors import UsageError
from realtime.presets import load_preset


@dataclass(frozen=True)
class RunConfig:
    """One run of the pipeline.

    Attributes:
        source: a camera's index or device path, a file, a URL, or "demo".
        effects: as written by the user, see `parse_effect`; they come after the preset's.
        preset: a shipped preset's name or a TOML file, see `load_preset`.
        save_preset: a TOML file to make of the effects as they are when the run ends.
        output: a video file, or an image file for a still source.
        display: show a window; None: only where there is no other output.
        contact_sheet: an image file for evenly spaced frames.
        compare: before and after, side by side.
        backend: "auto" or an engine's name.
        precision: "auto", "fp32", "fp16" or "int8".
        require_gpu: fail rather than run on the CPU.
        weights: a .safetensors file; None for the shipped weights.
        threads: CPU threads of the engine; None for one a core.
        max_faces: at most so many faces a frame.
        max_frames: stop after so many frames.
        stats: print per-stage times at the end.
    """

    source: str = "0"
    effects: tuple[str, ...] = ()
    preset: str | None = None
    save_preset: Path | None = None
    output: Path | None = None
    display: bool | None = None
    contact_sheet: Path | None = None
    compare: bool = False
    backend: str = "auto"
    precision: str = "auto"
    require_gpu: bool = False
    weights: Path | None = None
    threads: int | None = None
    max_faces: int = 4
    max_frames: int | None = None
    stats: bool = False
    parsed_effects: tuple[Effect, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        for name in ("threads", "max_faces", "max_frames"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"--{name.replace('_', '-')} {value}: at least 1")
        same = self.output is not None and self.contact_sheet is not None
        if same and self.output == self.contact_sheet:
            raise UsageError(f"{self.output}: --output and --contact-sheet are the same file")
        chosen = (load_preset(self.preset).effects if self.preset else ()) + self.effects
        effects = tuple(parse_effect(text) for text in chosen or ("overlay",))
        object.__setattr__(self, "parsed_effects", effects)

    @property
    def shows_window(self) -> bool:
        """Say whether a window is wanted."""
        if self.display is not None:
            return self.display
        return self.output is None and self.contact_sheet is None
