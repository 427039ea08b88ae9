"""What a run is made of: the front door's flags as one validated value."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from realtime.effects import Effect, parse_effect
from realtime.errors import UsageError
from realtime.faces.propagation import MAX_PROPAGATION, PROPAGATION
from realtime.faces.smoothing import STRENGTH
from realtime.faces.tta import MAX_TTA
from realtime.presets import load_preset
from realtime.serve.options import ServeOptions, read_address
from realtime.sinks import Encoding
from realtime.sinks.address import check_address
from realtime.sources import NOTHING_ASKED, LiveOptions

# What the page's own camera, buttons and figures stand for.
_NOT_SERVED = (
    *("source", "output", "contact_sheet", "display", "compare", "save_preset", "resume", "max_frames"),
    *("progress", "stats", "stats_json", "camera_size", "camera_fps"),
)


@dataclass(frozen=True)
class RunConfig:
    """One run of the pipeline.

    Attributes:
        source: a camera's index or device path, a file, a URL, or "demo".
        effects: as written by the user, see `parse_effect`; they come after the preset's.
        preset: a shipped preset's name or a TOML file, see `load_preset`.
        save_preset: a TOML file to make of the effects as they are when the run ends.
        output: a video file, or an image file for a still source.
        stream: a network address that frames are sent to.
        virtual_camera: send frames to a virtual camera, by name; empty: to the first there is.
        codec: a video encoder's name; None for the one of the output's ending.
        crf: quality on the encoder's own scale; None for its default.
        display: show a window; None: only where there is no other output.
        contact_sheet: an image file for evenly spaced frames.
        masks: a folder to make of every frame's parsing.
        mask_format: one of `realtime.masks.FORMATS`; None for the first.
        replace_masks: masks that are there already are replaced.
        compare: before and after, side by side.
        backend: "auto" or an engine's name.
        precision: "auto", "fp32", "fp16" or "int8".
        require_gpu: fail rather than run on the CPU.
        weights: a .safetensors file; None for the shipped weights.
        threads: CPU threads of the engine; None for `realtime.pipeline.threads.engine_threads`.
        max_faces: at most so many faces a frame.
        camera_size: "WIDTHxHEIGHT" asked of a camera.
        camera_fps: frames a second asked of a camera.
        reconnect: for how many seconds a lost camera or stream is tried again; 0: never.
        max_frames: stop after so many frames.
        detect_every: frames from one search for new faces to the next.
        smooth: how much of the past parsing is kept where nothing changes, 0 to 0.95.
        propagate: for how many seconds a face's parsing may be carried on along its motion, see
            `realtime.faces.propagation`; 0: each frame is parsed.
        tta: parsings that are averaged for each face (test-time augmentation), 1 to
            `realtime.faces.tta.MAX_TTA`; None: all of them for images, 1 for everything else.
        stats_json: a file for the report.
        progress: show a bar; None: for file jobs on a terminal without a window.
        resume: write segments, and go on with those of an interrupted run.
        stats: print per-stage times at the end.
        serve: "HOST:PORT" to serve the browser page at, see `read_address`; None: no page.
        token, tls_cert, tls_key, max_visitors: see `ServeOptions`.
    """

    source: str = "0"
    effects: tuple[str, ...] = ()
    preset: str | None = None
    save_preset: Path | None = None
    output: Path | None = None
    stream: str | None = None
    virtual_camera: str | None = None
    codec: str | None = None
    crf: int | None = None
    display: bool | None = None
    contact_sheet: Path | None = None
    masks: Path | None = None
    mask_format: str | None = None
    replace_masks: bool = False
    compare: bool = False
    backend: str = "auto"
    precision: str = "auto"
    require_gpu: bool = False
    weights: Path | None = None
    threads: int | None = None
    max_faces: int = 4
    max_frames: int | None = None
    detect_every: int = 5
    smooth: float = STRENGTH
    propagate: float = PROPAGATION
    tta: int | None = None
    stats_json: Path | None = None
    camera_size: str | None = None
    camera_fps: float | None = None
    reconnect: float = 30.0
    progress: bool | None = None
    resume: bool = False
    stats: bool = False
    serve: str | None = None
    token: str | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    max_visitors: int = 2
    parsed_effects: tuple[Effect, ...] = field(init=False, default=())
    live: LiveOptions = field(init=False, default=NOTHING_ASKED)
    serving: ServeOptions | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        for name in ("threads", "max_faces", "max_frames", "detect_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"--{name.replace('_', '-')} {value}: at least 1")
        if not 0.0 <= self.smooth <= 0.95:
            raise UsageError(f"--smooth {self.smooth:g}: from 0 (none) to 0.95")
        if not 0.0 <= self.propagate <= MAX_PROPAGATION:
            raise UsageError(
                f"--propagate {self.propagate:g}: seconds, from 0 (never) to {MAX_PROPAGATION:g}"
            )
        if self.tta is not None and not 1 <= self.tta <= MAX_TTA:
            raise UsageError(f"--tta {self.tta}: from 1 to {MAX_TTA}")
        same = self.output is not None and self.contact_sheet is not None
        if same and self.output == self.contact_sheet:
            raise UsageError(f"{self.output}: --output and --contact-sheet are the same file")
        for name in ("codec", "crf"):
            if getattr(self, name) is not None and self.output is None:
                raise UsageError(f"--{name} without --output: there is no file to encode")
        if self.resume and self.output is None:
            raise UsageError("--resume without --output: there is nothing to go on with")
        if self.resume and self.contact_sheet is not None:
            raise UsageError("--resume and --contact-sheet do not go together: a sheet needs all frames")
        if self.mask_format is not None and self.masks is None:
            raise UsageError("--mask-format without --masks: there is no folder for the masks")
        if self.masks is not None and self.masks in (self.output, self.contact_sheet):
            raise UsageError(f"{self.masks}: --masks needs a folder of its own")
        if self.resume and self.masks is not None:
            raise UsageError("--resume and --masks do not go together: masks need all frames")
        if self.stream is not None:
            check_address(self.stream)
        object.__setattr__(self, "live", self._live())
        object.__setattr__(self, "serving", self._serving())
        chosen = (load_preset(self.preset).effects if self.preset else ()) + self.effects
        # Where masks alone are made nothing is painted that nobody sees.
        default = ("overlay",) if self.masks is None or self._is_seen() else ()
        effects = tuple(parse_effect(text) for text in chosen or default)
        object.__setattr__(self, "parsed_effects", effects)

    def shows_progress(self, live: bool, terminal: bool) -> bool:
        """Say whether a bar is wanted for a source, given whether errors go to a terminal."""
        if self.progress is not None:
            return self.progress
        return terminal and not live and not self.shows_window

    def tta_for(self, still: bool) -> int:
        """Return how many parsings are averaged, given whether the source is an image."""
        return self.tta or (MAX_TTA if still else 1)

    def _live(self) -> LiveOptions:
        size = None
        if self.camera_size is not None:
            match = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", self.camera_size)
            if match is None:
                raise UsageError(f"--camera-size {self.camera_size}: WIDTHxHEIGHT, such as 1280x720")
            size = (int(match[1]), int(match[2]))
        if self.camera_fps is not None and not 1 <= self.camera_fps <= 1000:
            raise UsageError(f"--camera-fps {self.camera_fps:g}: 1 to 1000")
        if not 0 <= self.reconnect < math.inf:
            raise UsageError(f"--reconnect {self.reconnect:g}: seconds, 0 or more")
        return LiveOptions(size, self.camera_fps, self.reconnect)

    def _serving(self) -> ServeOptions | None:
        if self.serve is None:
            for flag in ("token", "tls_cert", "tls_key"):
                if getattr(self, flag) is not None:
                    raise UsageError(f"--{flag.replace('_', '-')} without --serve: there is no page")
            return None
        for name in _NOT_SERVED:
            if getattr(self, name) not in (None, False, RunConfig.__dataclass_fields__[name].default):
                raise UsageError(f"--{name.replace('_', '-')} and --serve do not go together")
        address = read_address(self.serve)
        return ServeOptions(*address, self.token, self.tls_cert, self.tls_key, self.max_visitors)

    @property
    def encoding(self) -> Encoding:
        """Return what is asked of the video encoder."""
        return Encoding(self.codec, self.crf)

    @property
    def shows_window(self) -> bool:
        """Say whether a window is wanted."""
        if self.display is not None:
            return self.display
        return self.masks is None and not self._is_seen()

    def _is_seen(self) -> bool:
        """Say whether painted frames go anywhere, a window by default left aside."""
        outputs = (self.output, self.stream, self.virtual_camera, self.contact_sheet)
        return bool(self.display) or any(output is not None for output in outputs)


def split_output(output: str | None) -> tuple[Path | None, str | None]:
    """Return what a user gave as output as a file or as a network address; the other is None."""
    if output is None or "://" in output:
        return None, output
    return Path(output), None
