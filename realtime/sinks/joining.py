"""Putting finished segments together packet by packet: nothing is encoded twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av

from realtime.media import SourceInfo
from realtime.sinks.tracks import TrackCopier
from realtime.sinks.video import open_container


def join_segments(parts: Sequence[Path], out: Path, info: SourceInfo, whole: bool) -> None:
    """Write one file of several, with the source's other tracks.

    Args:
        parts: videos without sound, made alike, each beginning with a key frame, in order.
        out: the file to make; its container is the parts'.
        info: of the source.
        whole: the parts hold the whole source; else the other tracks end with them.

    Raises:
        FFmpegError, OSError: if reading or writing fails; what there is of `out` stays.
    """
    times = iter(decode_times([packet.pts or 0 for packet in _packets(parts)]))
    with av.open(str(parts[0])) as first, open_container(out, info) as output:
        template = first.streams.video[0]
        # Opaque: only packets pass, and not every decoder (AV1) has an encoder of its name.
        stream = output.add_stream_from_template(template, opaque=True)
        stream.time_base = template.time_base
        if template.codec_context.codec_tag == "hvc1":
            stream.codec_context.codec_tag = "hvc1"
        tracks = None if info.tracks is None else TrackCopier(info.tracks, output)
        if tracks is not None:
            stream.metadata.update(tracks.video_tags)
        for packet in _packets(parts):
            packet.dts = next(times)
            if tracks is not None:
                tracks.copy_until(Fraction(packet.dts) * Fraction(packet.time_base))
            packet.stream = stream
            output.mux(packet)
        if tracks is not None:
            tracks.finish(whole)


def _packets(parts: Sequence[Path]) -> Iterator[av.Packet[av.VideoStream]]:
    for part in parts:
        with av.open(str(part)) as container:
            for packet in container.demux(container.streams.video[0]):
                if packet.size:
                    yield packet


def decode_times(pts: Sequence[int]) -> list[int]:
    """Return decoding times for packets in decoding order: strictly rising, none later than its PTS.

    Each segment's own would overlap where B-frames make decoding begin before the first picture's time.

    Args:
        pts: presentation times, all different.
    """
    ordered = sorted(pts)
    rank = {time: place for place, time in enumerate(ordered)}
    delay = max((place - rank[time] for place, time in enumerate(pts)), default=0)
    step = ordered[1] - ordered[0] if len(ordered) > 1 else 1
    lead = [ordered[0] - step * left for left in range(delay, 0, -1)] if ordered else []
    return [*lead, *ordered][: len(pts)]
