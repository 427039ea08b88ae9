"""Jobs that can be interrupted and go on: which job it is, and the source and sink that it runs with."""

from __future__ import annotations

from dataclasses import fields
from importlib.metadata import version
from pathlib import Path

from realtime.app.config import RunConfig
from realtime.errors import UsageError
from realtime.sinks import ResumableSink, check_output
from realtime.sources import WARM_UP_FRAMES, ReplayingSource, Source, VideoSource, segment_frames

# These change nothing in the file that comes out; the source is told by its facts, effects as they were read.
FREE = {
    *("source", "effects", "preset", "save_preset", "output", "display", "contact_sheet", "require_gpu"),
    *("masks", "mask_format", "replace_masks", "stream", "virtual_camera"),
    *("camera_size", "camera_fps", "reconnect", "progress", "resume", "stats", "stats_json", "live"),
}


def resume_job(
    config: RunConfig, source: Source, keep_journal: bool = False
) -> tuple[ReplayingSource, ResumableSink]:
    """Return the source and the sink of a job that may have been begun before.

    Args:
        config: with an output.
        source: opened.
        keep_journal: leave the fact that the job is done beside the output.

    Raises:
        UsageError: if the source is no video file, or the output does not fit it.
        SinkError: if the output was begun by another job, or another run is at work on it.
    """
    assert config.output is not None
    if not isinstance(source, VideoSource) or source.info.path is None:
        raise UsageError(f"{config.source}: --resume needs a video file as source")
    check_output(config.output, source.info)
    segment = segment_frames(source.info)
    job = describe_job(config, source.info.path) | {"segment": segment}
    sink = ResumableSink(
        config.output, source.info, config.encoding, job, segment, config.max_frames, keep_journal
    )
    return ReplayingSource(source, sink.next_index, config.max_frames), sink


def describe_job(config: RunConfig, source: Path) -> dict[str, str | int]:
    """Return what must be the same for a job to go on: source, settings, and the software that encodes."""
    settings = {
        field.name: str(getattr(config, field.name)) for field in fields(config) if field.name not in FREE
    }
    settings["effects"] = settings.pop("parsed_effects")
    if config.weights is not None and config.weights.exists():
        settings["weights"] = _identity(config.weights)
    software = f"av {version('av')}, warm-up {WARM_UP_FRAMES}"
    return {"source": _identity(source), "software": software, **settings}


def _identity(path: Path) -> str:
    facts = path.stat()
    return f"{path.resolve()}, {facts.st_size} bytes, {facts.st_mtime_ns} ns"
