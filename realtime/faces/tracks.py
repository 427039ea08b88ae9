"""What is known of one face over time, and which detection is which face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from realtime.faces.keypoints import align_to, complete, detected_anchors, similarity
from realtime.faces.parsing import SURE_SCORE
from realtime.faces.smoothing import CropSmoother, ParsingSmoother, distance
from realtime.frames import Detection, Image, Plane
from realtime.frames.geometry import Alignment, Points

# A detection farther from a face than this, in sides of its crop, is another face ...
_NEAR = 0.22
# ... except that this much is added for each second that the face was lost.
_NEAR_A_SECOND = 0.8
# A face reaches so far from its middle, in sides of its crop.
_ON = 0.3
# Sizes of the same face differ by this factor at most.
_SIZE_RATIO = 1.7
# What a wholly different look costs, in sides of distance.
_LOOKS = 2.0
# A detection that disagrees this much, in sides, with the parsing's own idea of the crop wins.
_DRIFT = 0.3
# Motion is carried on for so long, in seconds: what left a straight line isn't found by following it.
_CARRY_SECONDS = 0.3
_SPEED_SHARE = 0.5
_LOOKS_SHARE = 0.05


@dataclass
class Track:
    """One face over time.

    Attributes:
        track_id: its identity, from 1.
        detection: how the detector saw it last.
        anchors: (4, 2) as in `realtime.faces.keypoints`, pixels, at time `seen`.
        seen: time of the frame that it was last seen in, seconds.
        parsing: averages its probabilities.
        crop: steadies its crop.
        speed: (2,) pixels a second.
        lost: it wasn't seen in the last frame.
        looks: (8, 8, 3) float32, its slow mean appearance, which tells it from others after a crossing.
        whole: the whole frame showed it; False where only a further view of it did.
        other: another detection of it, to be tried beside `detection` when it is looked at next.
    """

    track_id: int
    detection: Detection
    anchors: Points
    seen: float
    parsing: ParsingSmoother
    crop: CropSmoother = field(default_factory=CropSmoother)
    speed: Points = field(default_factory=lambda: np.zeros(2))
    lost: bool = False
    looks: Plane | None = None
    whole: bool = True
    other: Detection | None = None

    @property
    def side(self) -> float:
        """Return the side of its crop in pixels."""
        return align_to(self.anchors).side

    def expected(self, now: float) -> Points:
        """Return where its anchors are thought to be, (4, 2) in pixels."""
        return self.anchors + self.speed * min(now - self.seen, _CARRY_SECONDS)

    def follow(self, anchors: Points, looks: Plane, now: float) -> None:
        """Take note of where it was parsed, and how it looks, in the frame at `now`."""
        seconds = now - self.seen
        if seconds > 0.0:
            speed = np.nanmean(anchors[:3] - self.anchors[:3], axis=0) / seconds
            self.speed = self.speed + _SPEED_SHARE * (speed - self.speed)
        self.looks = looks if self.looks is None else self.looks + _LOOKS_SHARE * (looks - self.looks)
        self.detection = carried(self.detection, self.anchors, anchors)
        self.anchors, self.seen, self.lost = anchors, now, False

    def detected(self, detection: Detection, now: float) -> None:
        """Take note of a detection: a lost face is found again, one whose crop drifted is put right."""
        anchors = detected_anchors(detection)
        # A doubtful detection, as of a lying head in the upright frame, knows less than the parsing.
        sure = detection.score >= SURE_SCORE
        drifted = sure and distance(align_to(anchors), align_to(self.expected(now))) > _DRIFT
        if self.lost or drifted:
            self.anchors = complete(anchors, self.anchors)
            self.speed, self.crop, self.seen = np.zeros(2), CropSmoother(), now
            self.parsing = ParsingSmoother(self.parsing.strength)
        self.detection, self.lost = detection, False


def carried(detection: Detection, before: Points, after: Points) -> Detection:
    """Return a detection moved with its face's anchors (4, 2)."""
    matrix = similarity(before[:3], after[:3])
    x0, y0, x1, y1 = detection.box
    x, y = (float(value) for value in matrix @ ((x0 + x1) / 2.0, (y0 + y1) / 2.0, 1.0))
    scale = float(np.hypot(*matrix[:, 0])) / 2.0
    width, height = scale * (x1 - x0), scale * (y1 - y0)
    points = [(float(px), float(py)) for px, py in after[:3]]
    return replace(
        detection,
        box=(x - width, y - height, x + width, y + height),
        right_eye=points[0],
        left_eye=points[1],
        mouth=points[2],
    )


def appearance(crop: Image) -> Plane:
    """Return the looks (8, 8, 3) float32 of a crop's middle, brightness taken out."""
    edge = crop.shape[0] // 6
    small = cv2.resize(crop[edge:-edge, edge:-edge], (8, 8), interpolation=cv2.INTER_AREA)
    looks = np.asarray(small, np.float32) / 255.0
    return np.asarray(looks - looks.mean(), np.float32)


def unlikeness(looks: Plane, track: Track) -> float:
    """Return how much looks differ from a track's own; 0 where those aren't known."""
    return 0.0 if track.looks is None else float(np.abs(looks - track.looks).mean())


def associate(
    detections: Sequence[Detection], looks: Sequence[Plane], tracks: Sequence[Track], now: float
) -> dict[int, Track]:
    """Return, by detection's index, the track that each detection belongs to; the likeliest pairs first."""
    pairs = []
    for index, detection in enumerate(detections):
        for track in tracks:
            cost = _cost(detection, looks[index], track, now)
            if cost is not None:
                pairs.append((cost, index, track))
    pairs.sort(key=lambda pair: pair[0])
    matched: dict[int, Track] = {}
    taken: set[int] = set()
    for _, index, track in pairs:
        if index not in matched and track.track_id not in taken:
            matched[index] = track
            taken.add(track.track_id)
    return matched


def _cost(detection: Detection, looks: Plane, track: Track, now: float) -> float | None:
    """Return the distance between a detection and a track in sides and looks; None if they can't be one."""
    found, expected = align_to(detected_anchors(detection)), align_to(track.expected(now))
    ratio = max(found.side, expected.side) / min(found.side, expected.side)
    far = _apart(found, expected) / max(found.side, expected.side)
    reach = _NEAR + (_NEAR_A_SECOND * (now - track.seen) if track.lost else 0.0)
    if ratio > _SIZE_RATIO or far > reach:
        return None
    return far + _LOOKS * unlikeness(looks, track)


def same_place(one: Points, other: Points) -> bool:
    """Say whether two sets of anchors (4, 2) are of one face."""
    a, b = align_to(one), align_to(other)
    ratio = max(a.side, b.side) / min(a.side, b.side)
    return _apart(a, b) < _NEAR * min(a.side, b.side) and ratio < _SIZE_RATIO


def lies_on(one: Points, other: Points) -> bool:
    """Say whether the middle of a face, by its anchors (4, 2), lies on another face."""
    a, b = align_to(one), align_to(other)
    return _apart(a, b) < _ON * max(a.side, b.side)


def _apart(one: Alignment, other: Alignment) -> float:
    return float(np.hypot(*np.subtract(one.centre, other.centre)))
