"""What lies beside a file's video, copied as it is: audio, subtitles, covers, attachments, chapters, tags."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import cast

import av
from av.packet import Packet
from av.stream import AttachmentStream, Stream

from realtime.errors import SinkError, warn
from realtime.media.opening import OPEN_SECONDS, is_cover
from realtime.media.times import TimeMender

# The writer's own, or true of the old file only.
OWN_TAGS = (
    "encoder",
    "major_brand",
    "minor_version",
    "compatible_brands",
    "duration",
    "filename",
    "mimetype",
)
USUAL_LAYOUTS = {1: "mono", 2: "stereo", 4: "quad", 6: "5.1", 8: "7.1"}
STATISTICS = ("bps", "number_of_", "_statistics_", "vendor_id")


class TrackCopier:
    """Copies a file's other tracks packet by packet, interleaved with the new video by time.

    What the output's format can't hold is left out, with one warning for all of it.

    Args:
        source: file or URL.
        output: a container whose header is not yet written; chapters and tags are set at once.

    Raises:
        SinkError: if the source can't be opened again.
    """

    def __init__(self, source: str, output: av.container.OutputContainer) -> None:
        self._output, self._source = output, source
        self._matroska = "matroska" in output.format.name
        try:
            self._input = av.open(source, timeout=OPEN_SECONDS if "://" in source else None)
        except (av.error.FFmpegError, OSError) as error:
            raise SinkError(f"the tracks of {source} cannot be copied: {error}") from None
        self._streams: dict[int, Stream] = {}
        self._menders: dict[int, TimeMender] = {}
        videos = [stream for stream in self._input.streams.video if not is_cover(stream)]
        self.video_tags: Mapping[str, str] = _tags(videos[0].metadata) if videos else {}
        self._add(videos[0].index if videos else -1)
        output.metadata.update(_tags(self._input.metadata))
        if chapters := self._input.chapters():
            output.set_chapters(chapters)
        self._packets = self._read()
        self._next: Packet[Stream] | None = next(self._packets, None)

    def _add(self, video: int) -> None:
        left_out = []
        for stream in self._input.streams:
            if stream.index == video or self._is_chapters(stream):
                continue
            if not self._take(stream):
                left_out.append(_called(stream))
        if left_out:
            kind = self._output.format.name.split(",")[0]
            warn(f"{self._source}: left out, as {kind} does not hold it: {', '.join(left_out)}; try .mkv")

    def _is_chapters(self, stream: Stream) -> bool:
        # .mp4 keeps chapters' titles in a text track as well; the writer makes its own.
        return stream.type == "data" and _codec(stream) is None and bool(self._input.chapters())

    def _take(self, stream: Stream) -> bool:
        if isinstance(stream, AttachmentStream):
            return self._attach(stream.name or "attachment", stream.mimetype or "", stream.data)
        if stream.type not in ("audio", "subtitle", "video") or _codec(stream) is None:
            return False
        if isinstance(stream, av.VideoStream):
            if not is_cover(stream):
                return False
            if self._matroska:
                return self._attach_cover(stream)
        if _codec(stream) not in self._output.supported_codecs or not self._would_do(stream):
            return False
        copy = _copy_of(stream, self._output)
        copy.metadata.update(_tags(stream.metadata))
        copy.disposition = stream.disposition
        self._streams[stream.index] = copy
        self._menders[stream.index] = self._mender(stream)
        return True

    def _would_do(self, stream: Stream) -> bool:
        """Try a track's first packet in memory: some formats refuse one only when the file is closed."""
        try:
            with (
                av.open(self._source) as again,
                av.open(io.BytesIO(), "w", format=self._output.format.name) as trial,
            ):
                copy = _copy_of(again.streams[stream.index], trial)
                trial.start_encoding()
                if isinstance(stream, av.AudioStream):
                    packet = next(again.demux(again.streams[stream.index]))
                    packet.stream = copy
                    trial.mux(packet)
        except (av.error.FFmpegError, ValueError, StopIteration):
            return False
        return True

    def _attach_cover(self, stream: av.VideoStream) -> bool:
        kind = "png" if _codec(stream) == "png" else "jpeg"
        with av.open(self._source) as again:
            packet = next(again.demux(again.streams[stream.index]), None)
        data = b"" if packet is None else bytes(packet)
        return bool(data) and self._attach(f"cover.{kind}", f"image/{kind}", data)

    def _attach(self, name: str, kind: str, data: bytes) -> bool:
        if self._matroska:
            self._output.add_attachment(name, kind, data)
        return self._matroska

    def _mender(self, stream: Stream) -> TimeMender:
        def report(text: str) -> None:
            warn(f"{self._source}: {text}")

        # Matroska's milliseconds are coarser than some codecs' packets, and two subtitles may begin at
        # once: there, equal times are right. Subtitles have no rhythm that would show a new beginning.
        sound = stream.type == "audio"
        coarse = self._matroska or "webm" in self._output.format.name
        far = round(1 / Fraction(stream.time_base or 1)) if sound else sys.maxsize
        return TimeMender(1, far, report, f"track {stream.index}'s packet", strict=sound and not coarse)

    def _read(self) -> Iterator[Packet[Stream]]:
        wanted = [stream for stream in self._input.streams if stream.index in self._streams]
        if not wanted:
            return
        for packet in self._input.demux(wanted):
            # The empty ones at the end are for decoders.
            if packet.size:
                yield self._mended(packet)

    def _mended(self, packet: Packet[Stream]) -> Packet[Stream]:
        mender = self._menders.get(packet.stream_index)
        given = packet.pts if packet.dts is None else packet.dts
        if mender is None or given is None:
            return packet
        time = mender.mend(given)
        if packet.pts is not None:
            packet.pts += time - given
        packet.dts = time
        return packet

    def copy_until(self, time: Fraction) -> None:
        """Copy the packets that start before `time`, seconds."""
        self._copy_while(lambda packet: _packet_time(packet) < time)

    def _copy_while(self, wanted: Callable[[Packet[Stream]], bool]) -> None:
        while self._next is not None and wanted(self._next):
            packet, self._next = self._next, next(self._packets, None)
            packet.stream = self._streams[packet.stream_index]
            self._output.mux(packet)

    def finish(self, whole: bool) -> None:
        """Copy the rest, unless the video was ended early; then close the input."""
        if whole:
            self._copy_while(lambda packet: True)
        self.close()

    def close(self) -> None:
        """Close the input."""
        self._input.close()


def _copy_of(stream: Stream, output: av.container.OutputContainer) -> Stream:
    copy = output.add_stream_from_template(stream)
    if isinstance(copy, av.AudioStream) and copy.layout.name.endswith("channels"):
        # Old containers say how many there are and not which; .mp4 must know.
        layout = USUAL_LAYOUTS.get(copy.layout.nb_channels)
        if layout is not None:
            copy.codec_context.layout = layout
    return copy


def _packet_time(packet: Packet[Stream]) -> Fraction:
    return Fraction(packet.dts or 0) * Fraction(packet.time_base or 1)


def _tags(metadata: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in metadata.items()
        if name.lower() not in OWN_TAGS and not name.lower().startswith(STATISTICS)
    }


def _codec(stream: Stream) -> str | None:
    # PyAV declares that every stream has a context; those it can't decode have none.
    context = cast(av.CodecContext | None, stream.codec_context)
    return None if context is None else context.codec.canonical_name


def _called(stream: Stream) -> str:
    words = (f"track {stream.index}", stream.type, _codec(stream), stream.metadata.get("language"))
    return " ".join(word for word in words if word)
