"""A sink that writes nothing and measures how good the parsing of each frame is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from benchmarks.known_faces import FaceRange, faces_at
from benchmarks.quality import Tally, border_share, face_count_errors, hair_outside_person
from benchmarks.report import Figure
from benchmarks.temporal import temporal_agreement
from benchmarks.worst_frames import Fault, WorstFrames, draw_labels
from realtime.faces.cuts import CutDetector
from realtime.frames import Image, ParsedFace, RenderedFrame
from realtime.masks.labels import rendered_labels
from realtime.people.segmenter import person_segmenter

# What is written on the contact sheet ...
HAIR, BORDER, CHANGED = "hair outside person", "border", "changed labels"
# ... of frames with at least such a share of it.
SHOWN_FROM = {HAIR: 0.05, BORDER: 0.02, CHANGED: 0.05}


class QualitySink:
    """Measures each frame of a clip; see `benchmarks.quality` and `benchmarks.temporal`.

    Args:
        ranges: the known number of faces; None where no clip's is known.
        worst: gets the frames that are worth showing.

    Raises:
        ModelError: if the person segmenter's model can't be had.
    """

    def __init__(self, ranges: tuple[FaceRange, ...] | None, worst: WorstFrames) -> None:
        self._ranges, self._worst, self._segmenter = ranges, worst, person_segmenter()
        self._cut = CutDetector()
        self._past: tuple[Image, Image] | None = None
        self._found: list[int] = []
        self._known: list[int | None] = []
        self._pooled = dict.fromkeys(SHOWN_FROM, Tally())
        self._ious: list[float] = []
        self._hair_frames = self._compared = self._left_out = 0

    def write(self, rendered: RenderedFrame) -> bool:
        """Measure a frame."""
        image, seconds = rendered.frame.image, float(rendered.frame.time)
        labels, _ = rendered_labels(rendered)
        tallies = {
            HAIR: hair_outside_person(labels, self._segmenter.segment(image)),
            BORDER: sum(map(_border, rendered.faces), Tally()),
            CHANGED: self._changed_labels(image, labels),
        }
        for kind, tally in tallies.items():
            self._pooled[kind] += tally
        self._hair_frames += tallies[HAIR].total > 0
        self._found.append(len(rendered.faces))
        self._known.append(None if self._ranges is None else faces_at(self._ranges, seconds))
        faults = [*self._count_fault(), *_faults(tallies)]
        self._worst.add(faults, seconds, partial(draw_labels, image, labels, rendered.faces))
        return True

    def close(self, whole: bool = True) -> None:
        """Nothing is held."""

    def abort(self) -> None:
        """Nothing is held."""

    def figures(self) -> dict[str, Figure]:
        """Return what was found so far; shares from 0 to 1, None where there was nothing to look at."""
        shares = {kind: _rounded(tally.share) for kind, tally in self._pooled.items()}
        return {
            "frames": len(self._found),
            "faces_per_frame": _mean(self._found),
            **self._count_figures(),
            "hair_frames": self._hair_frames,
            "hair_outside_person_share": shares[HAIR],
            "border_hair_share": shares[BORDER],
            "temporal_iou": _mean(self._ious),
            "changed_labels_share": shares[CHANGED],
            "compared_pairs": self._compared,
            "left_out_pairs": self._left_out,
        }

    def _count_figures(self) -> dict[str, Figure]:
        if self._ranges is None:
            return {}
        many, few = face_count_errors(self._found, self._known)
        shares = {
            "too_many_faces_share": _rounded(many.share),
            "too_few_faces_share": _rounded(few.share),
        }
        return {"known_frames": many.total, **shares}

    def _changed_labels(self, image: Image, labels: Image) -> Tally:
        """Compare with the frame before, where there is one and the two correspond."""
        past, self._past = self._past, (image, labels)
        cut = self._cut(image)
        if past is None:
            return Tally()
        agreement = None if cut else temporal_agreement(*past, image, labels)
        if agreement is None:
            self._left_out += 1
            return Tally()
        self._compared += 1
        if agreement.iou is not None:
            self._ious.append(agreement.iou)
        return agreement.changed

    def _count_fault(self) -> Iterator[Fault]:
        found, known = self._found[-1], self._known[-1]
        if known is not None and found != known:
            kind = "too many faces" if found > known else "too few faces"
            yield Fault(kind, abs(found - known), f"{found} face{'s' * (found != 1)}, {known} known")


def _border(face: ParsedFace) -> Tally:
    planes = face.probabilities if face.head is None else face.head
    labels = np.array(face.classes, np.uint8)[planes.argmax(axis=0)]
    return border_share(labels, face.square, face.image_size)


def _faults(tallies: dict[str, Tally]) -> Iterator[Fault]:
    for kind, tally in tallies.items():
        share = tally.share
        if share is not None and share >= SHOWN_FROM[kind]:
            yield Fault(kind, share, f"{kind} {100.0 * share:.0f} %")


def _mean(values: list[float] | list[int]) -> float | None:
    return round(float(np.mean(values)), 4) if values else None


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
