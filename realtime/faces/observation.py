"""What one frame shows of one track: its parsing, where it lies, and whether it is a face at all."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from realtime.faces.crop_smoothing import distance
from realtime.faces.evidence import parsing_evidence
from realtime.faces.keypoints import align_keypoints, complete_keypoints, find_keypoints
from realtime.faces.parsing import GLASSES_SHARE, NOSE_SHARE, SURE_SCORE, share_of
from realtime.faces.tracks import Track, describe_appearance
from realtime.frames import ParsedFace, Plane, Points
from stn_icnn.packing import Pictures

# The observation made first is kept unless the other scores so much more. Of 1052 such pairs (faces in the
# wild, upright and turned by 45, 90 and 180 degrees) the wrong one is taken 22 times; by counting parts, 39.
_SCORE_MARGIN = 0.2
_CONFIDENCE_WEIGHT = 10.0
_INNER = ("l_eye", "r_eye", "nose", "mouth", "u_lip", "l_lip")


@dataclass(frozen=True)
class Observation:
    """What the newest frame shows of a track.

    Attributes:
        track: whose face it is.
        face: its parsing.
        pictures: what was parsed.
        keypoints: (4, 2) where it lies, in pixels.
        distance: how far that is from the crop, in sides.
        appearance: see `describe_appearance`.
        is_face: it parses as a face at all.
        evidence: how much of a face it shows, 0 to 1, see `parsing_evidence`.
    """

    track: Track
    face: ParsedFace
    pictures: Pictures
    keypoints: Points
    distance: float
    appearance: Plane
    is_face: bool
    evidence: float

    @property
    def score(self) -> float:
        """Return how much of a face it shows: how large its inner parts are, and how sure the parsing is."""
        pixels = share_of(self.face, _INNER) * self.face.alignment.side**2
        confidence = float(self.face.probabilities.max(axis=0).mean())
        return math.log(max(1.0, pixels)) + _CONFIDENCE_WEIGHT * confidence

    def beats(self, other: Observation) -> bool:
        """Say whether it shows more of a face than another observation of the same track."""
        if self.is_face != other.is_face:
            return self.is_face
        return self.score > other.score + _SCORE_MARGIN


def make_observation(track: Track, face: ParsedFace, pictures: Pictures, predicted: Points) -> Observation:
    """Return what a parsing says of a track.

    Args:
        track: whose crop was parsed.
        face: its parsing.
        pictures: what was parsed.
        predicted: (4, 2) where its keypoints were thought to be, in pixels.
    """
    found = find_keypoints(face.probabilities, face.classes, face.alignment, predicted)
    seen = ~np.isnan(found[:, 0])
    # Dark glasses stand for the two eyes behind them.
    parts = int(seen.sum()) + 2 * int(not seen[:2].any() and share_of(face, "eye_g") > GLASSES_SHARE)
    keypoints = complete_keypoints(found, predicted)
    off = distance(align_keypoints(keypoints), face.alignment)
    # Closed eyes or a profile: the whole frame's detection is believed for nose and mouth, a view's isn't.
    enough = parts >= 3 or bool(track.whole and seen[2:].all())
    is_face = _is_face(track, face, parts, enough)
    evidence = parsing_evidence(face, found)
    appearance = describe_appearance(pictures.face)
    return Observation(track, face, pictures, keypoints, off, appearance, is_face, evidence)


def _is_face(track: Track, face: ParsedFace, parts: int, enough: bool) -> bool:
    """Say whether a track's parsing is one of a face; `enough` of its parts make a new one."""
    nose = share_of(face, "nose")
    if track.appearance is not None:
        # It was one a frame ago: half a nose will do, as where a hand passes.
        return parts >= 2 and nose > 0.5 * NOSE_SHARE
    return track.detection.score >= SURE_SCORE or (enough and nose > NOSE_SHARE)
