"""The state of a track, and association: which detection belongs to which track."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from realtime.faces.crop_smoothing import CropSmoother, distance
from realtime.faces.evidence import TrackEvidence
from realtime.faces.keypoints import align_keypoints, complete_keypoints, detected_keypoints, similarity
from realtime.faces.parsing import SURE_SCORE
from realtime.faces.smoothing import FaceSmoother
from realtime.faces.views import View
from realtime.frames import Detection, Image, Plane
from realtime.frames.geometry import Alignment, Points

# A detection farther from a face than this, in sides of its crop, is another face ...
DISTANCE_THRESHOLD = 0.22
# ... except that this much is added for each second that the face was lost.
_LOST_DISTANCE_A_SECOND = 0.8
# A face reaches so far from its middle, in sides of its crop.
_FACE_RADIUS = 0.3
# Two views of a face whose rolls lie so far apart, in radians, are both tried.
_ROTATED = 0.5
# Sizes of the same face differ by this factor at most.
MAX_SIZE_RATIO = 1.7
# What a wholly different appearance costs, in sides of distance.
_APPEARANCE_WEIGHT = 2.0
# A detection that disagrees this much, in sides, with the parsing's own idea of the crop wins.
MAX_DRIFT = 0.3
# Motion is carried on for so long, in seconds: what left a straight line isn't found by following it.
MAX_PREDICTION = 0.3
_VELOCITY_SHARE = 0.5
_APPEARANCE_SHARE = 0.05


@dataclass(eq=False)
class Track:
    """One face over time; two are the same only if they are one object.

    Attributes:
        detection: how the detector saw it last.
        keypoints: (4, 2) as in `realtime.faces.keypoints`, pixels, at time `seen`.
        seen: time of the frame that it was last seen in, seconds.
        smoother: averages its probabilities.
        evidence: what speaks for it being a face, and whether it may be shown.
        track_id: its identity, from 1, given when it is first shown; 0 until then.
        crop: steadies its crop.
        velocity: (2,) pixels a second.
        lost: it wasn't seen in the last frame.
        appearance: (8, 8, 3) float32, its slow mean appearance, which tells it from others after a crossing.
        whole: the whole frame showed it; False where only a further view of it did.
        view: that further view.
        alternative: another detection of it, to be tried beside `detection` at its next observation.
    """

    detection: Detection
    keypoints: Points
    seen: float
    smoother: FaceSmoother
    evidence: TrackEvidence
    track_id: int = 0
    crop: CropSmoother = field(default_factory=CropSmoother)
    velocity: Points = field(default_factory=lambda: np.zeros(2))
    lost: bool = False
    appearance: Plane | None = None
    whole: bool = True
    view: View | None = None
    alternative: Detection | None = None

    @property
    def side(self) -> float:
        """Return the side of its crop in pixels."""
        return align_keypoints(self.keypoints).side

    def predict(self, now: float) -> Points:
        """Return where its keypoints are thought to be, (4, 2) in pixels: motion goes on for a while."""
        return self.keypoints + self.velocity * min(now - self.seen, MAX_PREDICTION)

    def update(self, keypoints: Points, appearance: Plane, now: float) -> None:
        """Take note of where it was parsed, and its appearance, in the frame at `now`."""
        seconds = now - self.seen
        if seconds > 0.0:
            velocity = np.nanmean(keypoints[:3] - self.keypoints[:3], axis=0) / seconds
            self.velocity = self.velocity + _VELOCITY_SHARE * (velocity - self.velocity)
        if self.appearance is None:
            self.appearance = appearance
        else:
            self.appearance = self.appearance + _APPEARANCE_SHARE * (appearance - self.appearance)
        self.detection = carried(self.detection, self.keypoints, keypoints)
        self.keypoints, self.seen, self.lost = keypoints, now, False

    def detected(self, detection: Detection, now: float) -> None:
        """Take note of a detection: a lost face is found again, one whose crop drifted is put right."""
        keypoints = detected_keypoints(detection)
        # A doubtful detection, as of a lying head in the upright frame, knows less than the parsing.
        sure = detection.score >= SURE_SCORE
        drifted = (
            sure and distance(align_keypoints(keypoints), align_keypoints(self.predict(now))) > MAX_DRIFT
        )
        if self.lost and not self.evidence.confirmed:
            # It was dropped because it didn't look like a face: it has to earn its place again.
            self.evidence = TrackEvidence(now)
        if self.lost or drifted:
            self.keypoints = complete_keypoints(keypoints, self.keypoints)
            self.velocity, self.crop, self.seen = np.zeros(2), CropSmoother(), now
            self.smoother = self.smoother.fresh()
        self.detection, self.lost = detection, False


def carried(detection: Detection, before: Points, after: Points) -> Detection:
    """Return a detection moved with its face's keypoints (4, 2)."""
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


def describe_appearance(crop: Image) -> Plane:
    """Return the appearance (8, 8, 3) float32 of a crop's middle, brightness taken out."""
    edge = crop.shape[0] // 6
    small = cv2.resize(crop[edge:-edge, edge:-edge], (8, 8), interpolation=cv2.INTER_AREA)
    scaled = np.asarray(small, np.float32) / 255.0
    return np.asarray(scaled - scaled.mean(), np.float32)


def appearance_distance(appearance: Plane, track: Track) -> float:
    """Return how much an appearance differs from a track's own; 0 where that isn't known."""
    return 0.0 if track.appearance is None else float(np.abs(appearance - track.appearance).mean())


def associate(
    detections: Sequence[Detection], appearances: Sequence[Plane], tracks: Sequence[Track], now: float
) -> dict[int, Track]:
    """Return, by detection's index, the track that each detection belongs to; the nearest pairs first.

    Greedy, where others take the Hungarian method (`scipy.optimize.linear_sum_assignment`). Pairs beyond the
    threshold are none, and faces lie apart: for the handful of a frame both give the same but where two
    detections compete for one track. Then the nearest pair is the better guess than the least sum, which
    may give a face another's identity so that a far pair is matched at all. And it needs no SciPy.
    """
    pairs = []
    for index, detection in enumerate(detections):
        for track in tracks:
            cost = _cost(detection, appearances[index], track, now)
            if cost is not None:
                pairs.append((cost, index, track))
    pairs.sort(key=lambda pair: pair[0])
    matched: dict[int, Track] = {}
    taken: set[Track] = set()
    for _, index, track in pairs:
        if index not in matched and track not in taken:
            matched[index] = track
            taken.add(track)
    return matched


def _cost(detection: Detection, appearance: Plane, track: Track, now: float) -> float | None:
    """Return a detection's distance from a track, by place and appearance; None beyond the threshold."""
    found, expected = align_keypoints(detected_keypoints(detection)), align_keypoints(track.predict(now))
    ratio = max(found.side, expected.side) / min(found.side, expected.side)
    far = _apart(found, expected) / max(found.side, expected.side)
    reach = DISTANCE_THRESHOLD + (_LOST_DISTANCE_A_SECOND * (now - track.seen) if track.lost else 0.0)
    if ratio > MAX_SIZE_RATIO or far > reach:
        return None
    return far + _APPEARANCE_WEIGHT * appearance_distance(appearance, track)


def same_place(one: Points, other: Points) -> bool:
    """Say whether two sets of keypoints (4, 2) are of one face."""
    a, b = align_keypoints(one), align_keypoints(other)
    ratio = max(a.side, b.side) / min(a.side, b.side)
    return _apart(a, b) < DISTANCE_THRESHOLD * min(a.side, b.side) and ratio < MAX_SIZE_RATIO


def lies_on(one: Points, other: Points) -> bool:
    """Say whether the middle of a face, by its keypoints (4, 2), lies on another face."""
    a, b = align_keypoints(one), align_keypoints(other)
    return _apart(a, b) < _FACE_RADIUS * max(a.side, b.side)


def is_rotated_double(one: Points, other: Points) -> bool:
    """Say whether two sets of keypoints (4, 2) are of one face seen at rolls that lie far apart."""
    turn = align_keypoints(one).roll - align_keypoints(other).roll
    return abs(math.remainder(turn, math.tau)) > _ROTATED and lies_on(one, other)


def _apart(one: Alignment, other: Alignment) -> float:
    return float(np.hypot(*np.subtract(one.centre, other.centre)))
