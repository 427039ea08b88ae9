"""Audio, copied packet by packet beside the new video."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av

from realtime.errors import SinkError


class AudioCopier:
    """Copies a file's audio packets as they are, interleaved with the video by time.

    Args:
        path: the source file.
        output: a container whose header is not yet written.

    Raises:
        SinkError: if the output's format can't hold the audio.
    """

    def __init__(self, path: Path, output: av.container.OutputContainer) -> None:
        self._output = output
        self._input = av.open(str(path))
        self._streams = {}
        for stream in self._input.streams.audio:
            try:
                self._streams[stream.index] = output.add_stream_from_template(stream)
            except (av.error.FFmpegError, ValueError) as error:
                raise SinkError(f"the audio of {path} does not fit this format; try .mkv ({error})") from None
        self._packets = self._read()
        self._next: av.Packet[av.AudioStream] | None = next(self._packets, None)
        self._until = Fraction(0)

    def _read(self) -> Iterator[av.Packet[av.AudioStream]]:
        if not self._streams:
            return
        for packet in self._input.demux(self._input.streams.audio):
            if packet.dts is not None:
                yield packet

    def copy_until(self, time: Fraction) -> None:
        """Copy the packets that start before `time`, seconds."""
        self._until = max(self._until, time)
        while self._next is not None and _packet_time(self._next) < time:
            packet, self._next = self._next, next(self._packets, None)
            packet.stream = self._streams[packet.stream.index]
            self._output.mux(packet)

    def finish(self) -> None:
        """Copy the rest where the video is whole, else up to the last frame; then close the input."""
        ended = self._video_ended()
        self.copy_until(Fraction(10**9) if ended else self._until)
        self._input.close()

    def _video_ended(self) -> bool:
        """Say whether the last frame written is the source's last, by its duration."""
        video = self._input.streams.video[0]
        if video.duration is None or video.time_base is None:
            return True
        end = (Fraction(video.start_time or 0) + video.duration) * video.time_base
        frame = 1 / Fraction(video.average_rate or 25)
        return end - self._until < 2 * frame


def _packet_time(packet: av.Packet[av.AudioStream]) -> Fraction:
    return Fraction(packet.dts or 0) * Fraction(packet.time_base or 1)
