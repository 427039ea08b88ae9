"""Evidence that a track is a face: what one parsing says, and what a track gathered over time.

A new track is *tentative* and not shown until it is *confirmed*: that is the initialization delay of norfair
and of other trackers. All times are in seconds, so that it is as long at any frame rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from realtime.faces.parsing import share_of
from realtime.frames import ParsedFace, Points
from realtime.frames.geometry import transformed

# Shares of the crop that speak for a part in full. Of 386 faces in portraits and in the wild, 95 % have more
# of each but the mouth of a few profiles; the false ones seen had no nose at all, or no mouth.
_NOSE, _EYES, _GLASSES, _MOUTH = 0.012, 0.002, 0.02, 0.005
# No face's part is so large.
_TOO_LARGE = {"nose": 0.08, "eyes": 0.04, "mouth": 0.12}

INITIALIZATION_DELAY = 0.06
"""A track is confirmed when its parsings agree for so long, in seconds, and at least `_CONSISTENT` of them
(frames 0, 1 and 2 at 30 a second), or by a detection this much later, for which it is then searched out of
turn. Sooner, a second detection is the same picture once more."""
VIEW_INITIALIZATION_DELAY = 0.12
"""The same, where only a turned view or a tile showed it: those see many more pictures of nothing."""
MAX_TIME_TENTATIVE = 0.15
"""A tentative track is searched for out of turn no longer than this, in seconds: a blurred shelf must not
have every frame searched. What the ordinary searches find still counts."""
_CONSISTENT = 3
NEW_TRACK_THRESHOLD = 1.2
"""Detection score and parsing evidence together, 0 to 2, for a face of an image, which has no second frame.
Of 386 faces in portraits and in the wild one has less (1.16), all others 1.39 and more; of ten false ones in
2018 pieces of background nine have 0.7 to 1.19."""
TRACK_HIGH_THRESHOLD = 1.3
"""The same for a parsing that agrees, and for a clip's first frame: who fails there only comes later. A hand
with a camera has 1.19 to 1.36 from frame to frame; 385 of those 386 faces have more than 1.39."""
VIEW_MARGIN = 0.2
"""What either needs more where there is no second look and only a further view showed the face."""
MIN_EVIDENCE = 0.4
"""Below this a parsing doesn't look like a face. In six clips no true face has less than 0.5 in any frame."""
MAX_TIME_WITHOUT_EVIDENCE = 0.15
"""A shown track is dropped after so many seconds without: within 0.2 s also at 10 frames a second."""
SURE_TIME, MAX_TIME_SURE = 1.0, 1.0
"""... but after so many seconds as a face, a sure one, only after so many: blur, a hand, a turn pass."""


def parsing_evidence(face: ParsedFace, found: Points) -> float:
    """Return how much a parsing shows of nose, eyes (or glasses) and mouth, 0 to 1; 0 where misarranged.

    Args:
        face: its parsing; only the face crop's own map counts.
        found: (4, 2) right eye, left eye, mouth and nose as parsed, in pixels; NaN where not seen.
    """
    # One plane after the other: adding planes up first takes nearly twice as long.
    nose, glasses = share_of(face, "nose"), share_of(face, "eye_g")
    eyes = share_of(face, "r_eye") + share_of(face, "l_eye")
    mouth = sum(share_of(face, name) for name in ("u_lip", "mouth", "l_lip"))
    shares = {"nose": nose, "eyes": eyes, "mouth": mouth}
    if any(share > _TOO_LARGE[name] for name, share in shares.items()) or not _is_arranged(face, found):
        return 0.0
    grades = nose / _NOSE, max(eyes / _EYES, glasses / _GLASSES), mouth / _MOUTH
    return sum(min(1.0, grade) for grade in grades) / len(grades)


def _is_arranged(face: ParsedFace, found: Points) -> bool:
    """Say whether, upright in the crop, eyes lie above nose and mouth and the right eye left of the left one.

    What isn't seen isn't compared; nose and mouth may lie level in a head that looks up.
    """
    (right, left, mouth, nose) = transformed(found, face.alignment.to_crop(2))
    eyes = [float(eye[1]) for eye in (right, left) if not np.isnan(eye[1])]
    below = [float(part[1]) for part in (mouth, nose) if not np.isnan(part[1])]
    swapped = bool(right[0] > left[0])
    return not swapped and not (eyes and below and max(eyes) > max(below))


@dataclass
class TrackEvidence:
    """What a track gathered for being a face.

    Attributes:
        found: time of the detection that began it, seconds.
        confirmed: it may be shown.
        seconds: for how long its parsings looked like a face, all together.
    """

    found: float
    confirmed: bool = False
    seconds: float = 0.0
    _last: float | None = None
    _agrees_since: float | None = None
    _agreements: int = 0
    _looked_like_a_face: float | None = None
    _second_detection: bool = False

    def detect(self, now: float) -> None:
        """Take note of a detection that agrees; too soon after the first one it's no second."""
        self._second_detection |= now - self.found >= INITIALIZATION_DELAY

    def is_due(self, now: float) -> bool:
        """Say whether it should be searched for out of turn: it is tentative, and the delay is over."""
        return not self.confirmed and INITIALIZATION_DELAY <= now - self.found <= MAX_TIME_TENTATIVE

    def observe(self, score: float, evidence: float, whole: bool, now: float) -> None:
        """Take note of the parsing of the frame at `now`, and confirm the track if it's enough.

        Args:
            score: the detection's, 0 to 1.
            evidence: see `parsing_evidence`.
            whole: the whole frame showed it, not a further view only.
            now: seconds.
        """
        if evidence >= MIN_EVIDENCE:
            self.seconds += 0.0 if self._last is None else now - self._last
            self._looked_like_a_face = now
        self._last = now
        agrees = evidence >= MIN_EVIDENCE and score + evidence >= TRACK_HIGH_THRESHOLD
        self._count(agrees, now)
        seen_twice = self._second_detection and (agrees or (whole and evidence >= MIN_EVIDENCE))
        self.confirmed |= seen_twice or self._is_consistent(whole, now)

    def judge_alone(self, score: float, evidence: float, whole: bool, threshold: float) -> None:
        """Confirm a track by its first parsing alone, where that's above a threshold: see `observe`."""
        needed = threshold + (0.0 if whole else VIEW_MARGIN)
        self.confirmed |= score + evidence >= needed

    def is_gone(self, now: float) -> bool:
        """Say whether it hasn't looked like a face for too long, by its history."""
        patience = MAX_TIME_SURE if self.seconds >= SURE_TIME else MAX_TIME_WITHOUT_EVIDENCE
        since = self.found if self._looked_like_a_face is None else self._looked_like_a_face
        return now - since >= patience

    def _count(self, agrees: bool, now: float) -> None:
        """Count parsings that agree one after the other."""
        if not agrees:
            self._agrees_since, self._agreements = None, 0
            return
        if self._agrees_since is None:
            self._agrees_since = now
        self._agreements += 1

    def _is_consistent(self, whole: bool, now: float) -> bool:
        delay = INITIALIZATION_DELAY if whole else VIEW_INITIALIZATION_DELAY
        since = self._agrees_since
        return since is not None and self._agreements >= _CONSISTENT and now - since >= delay
