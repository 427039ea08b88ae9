"""Audio, copied packet by packet beside the new video."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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

    def _read(self) -> Iterator[av.Packet[av.AudioStream]]:
        if not self._streams:
            return
        for packet in self._input.demux(self._input.streams.audio):
            if packet.dts is not None:
                yield packet

    def copy_until(self, time: Fraction) -> None:
        """Copy the packets that start before `time`, seconds."""
        self._copy_while(lambda packet: _packet_time(packet) < time)

    def _copy_while(self, wanted: Callable[[av.Packet[av.AudioStream]], bool]) -> None:
        while self._next is not None and wanted(self._next):
            packet, self._next = self._next, next(self._packets, None)
            packet.stream = self._streams[packet.stream.index]
            self._output.mux(packet)

    def finish(self, whole: bool) -> None:
        """Copy the rest, unless the video was ended early; then close the input."""
        if whole:
            self._copy_while(lambda packet: True)
        self.close()

    def close(self) -> None:
        """Close the input."""
        self._input.close()


def _packet_time(packet: av.Packet[av.AudioStream]) -> Fraction:
    return Fraction(packet.dts or 0) * Fraction(packet.time_base or 1)
