"""Faces followed from frame to frame: one identity each, a steady crop, the detector only when needed.

Between detections a face's crop follows its own parsing: where eyes and mouth were parsed last says where to
look now. The detector looks for new faces every few frames, and at once after a cut or when a face is lost.
A parsing always comes from the very frame that it is drawn on; what isn't seen in a frame isn't shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from engines import Engine
from realtime.faces.cuts import CutDetector
from realtime.faces.detector import FaceDetector
from realtime.faces.keypoints import align_to, complete, detected_anchors, find_anchors
from realtime.faces.parsing import GLASSES_SHARE, NOSE_SHARE, SURE_SCORE, parse_crops, share_of
from realtime.faces.smoothing import STRENGTH, CropSmoother, ParsingSmoother, distance
from realtime.faces.tracks import Track, appearance, associate, lies_on, same_place, unlikeness
from realtime.faces.tta import look_again
from realtime.faces.views import further_views
from realtime.frames import Detection, Frame, Image, ParsedFace, ParsedFrame, Plane
from realtime.frames.geometry import Points

# A face that lies this far, in sides, from where its crop was laid is cut out and parsed once more.
AGAIN = 0.12
# A lost face keeps its identity for so long.
MEMORY_SECONDS = 1.5
# After a longer gap between frames nothing is carried on.
GAP_SECONDS = 1.0
# Two looks at a face whose rolls lie so far apart, in radians, are both tried.
OTHERWISE = 0.5
# The look found first is kept unless the other is worth so much more. Of 1052 such pairs (faces in the wild,
# upright and turned by 45, 90 and 180 degrees) the wrong one is taken 22 times; by the number of parts, 39.
CLEARLY = 0.2
_SURENESS = 10.0
_INNER = ("l_eye", "r_eye", "nose", "mouth", "u_lip", "l_lip")
# While as many faces are followed as are wanted, others are searched for so much less often.
_FULL = 6
# A face already followed counts as so much larger when the largest are chosen: equals don't alternate.
_KEPT = 1.2


@dataclass(frozen=True)
class _Sight:
    """What the newest frame shows of a track.

    Attributes:
        track: whose face it is.
        face: its parsing.
        crop: (S, S, 3) uint8 RGB, what was parsed.
        anchors: (4, 2) where it lies, in pixels.
        off: how far that is from the crop, in sides.
        looks: see `appearance`.
        is_face: it looks like a face at all.
    """

    track: Track
    face: ParsedFace
    crop: Image
    anchors: Points
    off: float
    looks: Plane
    is_face: bool

    @property
    def worth(self) -> float:
        """Return how much of a face it shows: how large its inner parts are, and how sure the parsing is."""
        pixels = share_of(self.face, _INNER) * self.face.alignment.side**2
        sureness = float(self.face.probabilities.max(axis=0).mean())
        return math.log(max(1.0, pixels)) + _SURENESS * sureness

    def beats(self, other: _Sight) -> bool:
        """Say whether it shows more of a face than another sight of the same track."""
        if self.is_face != other.is_face:
            return self.is_face
        return self.worth > other.worth + CLEARLY


class FaceTracker:
    """Finds, follows and parses the faces of a sequence of frames; not for several threads at once.

    Args:
        detector: see `FaceDetector`; its `max_faces` is the limit here too.
        engine: see `engines.Engine`.
        every: frames from one search for new faces to the next, at least 1.
        smoothing: see `ParsingSmoother.strength`.
        thorough: do in each frame what a video's frames share: search every view of it, and cut each face
            out once more where its own parsing says. For single images.
        looks: parsings that are averaged for each face of each frame, see `realtime.faces.tta`.
    """

    def __init__(
        self,
        detector: FaceDetector,
        engine: Engine,
        every: int = 5,
        smoothing: float = STRENGTH,
        thorough: bool = False,
        looks: int = 1,
    ) -> None:
        self.detector, self.engine, self.every, self.smoothing = detector, engine, every, smoothing
        self.thorough, self.looks = thorough, looks
        self._named = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything but the identities given, which are not used again.

        A gap in time does the same, and so does a step back: what follows is then the same as in a run that
        begins there, which a resumed one relies on.
        """
        self._tracks: list[Track] = []
        self._views = 0
        self._cut = CutDetector()
        self._time: float | None = None
        self._since = 0

    def update(self, frame: Frame) -> ParsedFrame:
        """Return the faces of a frame, largest first; frames come in order of time."""
        image, now = frame.image, float(frame.time)
        if self._time is not None and not 0.0 < now - self._time <= GAP_SECONDS:
            self.reset()
        self._time = now
        if self._cut(image):
            self._tracks, self._since = [], 0
        searched = self._search_in_turn(image, now)
        sights = self._look(image, self._shown(), now)
        if not searched and not all(sight.is_face for sight in sights):
            sights = self._look_again(image, sights, now)
        faces = self._settle(image, sights, now)
        self._tracks = [track for track in self._tracks if not track.lost or _remembered(track, now)]
        return ParsedFrame(frame, tuple(sorted(faces, key=lambda face: -face.alignment.side)))

    def _search_in_turn(self, image: Image, now: float) -> bool:
        """Search for faces as far as it is this frame's turn; return whether the whole frame was searched."""
        shown = self._shown()
        every = self.every * (_FULL if len(shown) == self.detector.max_faces else 1)
        turn, self._since = self._since % every, self._since + 1
        if not shown or turn == 0:
            # Further views have a turn of their own, so that no frame takes long without need.
            self._search(image, now, views=not shown or every == 1)
            return True
        if turn == every // 2:
            self._search(image, now, whole=False)
        return False

    def _shown(self) -> list[Track]:
        """Return the tracks to look at: the largest that are not lost; the others are lost from now on."""
        shown = [track for track in self._tracks if not track.lost]
        shown.sort(key=lambda track: -track.side * (_KEPT if track.looks is not None else 1.0))
        for track in shown[self.detector.max_faces :]:
            track.lost = True
        return shown[: self.detector.max_faces]

    def _search(self, image: Image, now: float, whole: bool = True, views: bool = True) -> None:
        """Search for faces in the whole frame, in one group of further views of it (in turns), or in both.

        A thorough search is in every group.
        """
        detections = list(self.detector.detect(image)) if whole else []
        seen_whole, others = len(detections), dict[int, Detection]()
        # The best look at a face first: the others at it are then left out.
        for face in sorted(self._further(image) if views else [], key=lambda face: -face.score):
            _join(detections, others, face)
        looks = [appearance(align_to(detected_anchors(d)).crop(image, 64)) for d in detections]
        matched = associate(detections, looks, self._tracks, now)
        for index, detection in enumerate(detections):
            if index in matched:
                # A further view alone knows no more of a face that is followed.
                track = matched[index]
                if track.lost:
                    track.other = others.get(index)
                if whole or track.lost:
                    track.detected(detection, now)
            elif not self._taken(detection, now):
                self._named += 1
                smoother = ParsingSmoother(self.smoothing)
                track = Track(self._named, detection, detected_anchors(detection), now, smoother)
                track.whole, track.other = index < seen_whole, others.get(index)
                self._tracks.append(track)

    def _further(self, image: Image) -> list[Detection]:
        """Return the faces that the next group of further views, or every group, shows whole."""
        groups = further_views(*image.shape[:2])
        views = sum(groups, ()) if self.thorough else groups[self._views % len(groups)]
        self._views += 1
        found = [view.back(face) for view in views for face in self.detector.search(view.cut(image))]
        return [face for face in found if any(view.holds(face) for view in views)]

    def _taken(self, detection: Detection, now: float) -> bool:
        """Say whether a detection lies on a face that is followed already: a second, worse look at it."""
        anchors = detected_anchors(detection)
        return any(lies_on(anchors, track.expected(now)) for track in self._tracks if not track.lost)

    def _look(self, image: Image, tracks: Sequence[Track], now: float) -> list[_Sight]:
        """Parse tracks where they are expected, and once more those that turn out to lie elsewhere."""
        sights = self._parse(image, tracks, [track.expected(now) for track in tracks], now)
        sights = [self._better(image, sight, now) for sight in sights]
        enough = 0.0 if self.thorough else AGAIN
        off = [index for index, sight in enumerate(sights) if sight.is_face and sight.off > enough]
        for index in off:
            # The crop goes there at once.
            tracks[index].crop = CropSmoother()
        moved = self._parse(image, [tracks[i] for i in off], [sights[i].anchors for i in off], now)
        for index, sight in zip(off, moved, strict=True):
            if sight.is_face:
                sights[index] = sight
        return sights

    def _better(self, image: Image, sight: _Sight, now: float) -> _Sight:
        """Parse a track where its other detection has it; return the sight that shows more of a face."""
        track = sight.track
        if track.other is None:
            return sight
        first = track.detection, track.whole
        track.detection, track.whole, track.other, track.crop = track.other, False, None, CropSmoother()
        anchors = detected_anchors(track.detection)
        (other,) = self._parse(image, [track], [anchors], now)
        track.crop = CropSmoother()
        if other.beats(sight):
            track.anchors = anchors
            return other
        track.detection, track.whole = first
        return sight

    def _parse(
        self, image: Image, tracks: Sequence[Track], expected: Sequence[Points], now: float
    ) -> list[_Sight]:
        """Parse tracks whose anchors are thought to be at `expected`."""
        alignments = [
            track.crop(align_to(points), now - track.seen)
            for track, points in zip(tracks, expected, strict=True)
        ]
        detections = [track.detection for track in tracks]
        faces, crops = parse_crops(image, detections, alignments, self.engine)
        return list(map(_sight, tracks, faces, crops, expected))

    def _look_again(self, image: Image, sights: Sequence[_Sight], now: float) -> list[_Sight]:
        """Search out of turn, as a face was lost, and look at what was found."""
        for sight in sights:
            sight.track.lost |= not sight.is_face
        self._search(image, now)
        good = [sight for sight in sights if sight.is_face]
        known = {sight.track.track_id for sight in good}
        return good + self._look(image, [t for t in self._shown() if t.track_id not in known], now)

    def _settle(self, image: Image, sights: Sequence[_Sight], now: float) -> list[ParsedFace]:
        """Take note of what was seen; where two tracks see one face, it is the one that it looks like."""
        kept: list[_Sight] = []
        # A new track comes last: it looks like itself whatever it is.
        order = sorted(sights, key=lambda one: (one.track.looks is None, unlikeness(one.looks, one.track)))
        for sight in order:
            double = any(same_place(sight.anchors, other.anchors) for other in kept)
            if sight.is_face and not double:
                kept.append(sight)
            else:
                sight.track.lost = True
        faces = look_again(image, [sight.face for sight in kept], self.engine, self.looks)
        crops = [sight.crop for sight in kept]
        if self.looks > 1:
            crops = [face.alignment.crop(image, self.engine.spec.input_size) for face in faces]
        return [self._steadied(*one, now) for one in zip(kept, faces, crops, strict=True)]

    def _steadied(self, sight: _Sight, face: ParsedFace, crop: Image, now: float) -> ParsedFace:
        track = sight.track
        seconds = now - track.seen
        planes = track.parsing(face.probabilities, crop, face.alignment, seconds)
        track.follow(sight.anchors, sight.looks, now)
        return replace(face, detection=track.detection, probabilities=planes, track_id=track.track_id)


def _sight(track: Track, face: ParsedFace, crop: Image, expected: Points) -> _Sight:
    found = find_anchors(face.probabilities, face.classes, face.alignment, expected)
    seen = ~np.isnan(found[:, 0])
    # Dark glasses stand for the two eyes behind them.
    parts = int(seen.sum()) + 2 * int(not seen[:2].any() and share_of(face, "eye_g") > GLASSES_SHARE)
    anchors = complete(found, expected)
    off = distance(align_to(anchors), face.alignment)
    # Closed eyes or a profile: the whole frame's detection is believed for nose and mouth, a view's isn't.
    enough = parts >= 3 or bool(track.whole and seen[2:].all())
    is_face = _is_face(track, face, parts, enough)
    return _Sight(track, face, crop, anchors, off, appearance(crop), is_face)


def _is_face(track: Track, face: ParsedFace, parts: int, enough: bool) -> bool:
    """Say whether a track's parsing is one of a face; `enough` of its parts make a new one."""
    nose = share_of(face, "nose")
    if track.looks is not None:
        # It was one a frame ago: half a nose will do, as where a hand passes.
        return parts >= 2 and nose > 0.5 * NOSE_SHARE
    return track.detection.score >= SURE_SCORE or (enough and nose > NOSE_SHARE)


def _join(detections: list[Detection], others: dict[int, Detection], face: Detection) -> None:
    """Add what only a further view shows; a look that may be better than a known one to the others.

    It stays doubtful, and must parse as a face.

    Args:
        detections: known ones.
        others: by index of those, another look at the same face.
        face: from a further view, in the image's pixels.
    """
    anchors = detected_anchors(face)
    doubtful = replace(face, score=min(face.score, SURE_SCORE - 0.01))
    for index, known in enumerate(detections):
        before = detected_anchors(known)
        turn = align_to(anchors).roll - align_to(before).roll
        if abs(math.remainder(turn, math.tau)) > OTHERWISE and lies_on(anchors, before):
            others.setdefault(index, doubtful)
            return
        if same_place(anchors, before):
            if known.score < doubtful.score:
                detections[index] = doubtful
            return
    detections.append(doubtful)


def _remembered(track: Track, now: float) -> bool:
    """Say whether a lost track may come back: not one that was never shown."""
    return track.looks is not None and now - track.seen <= MEMORY_SECONDS
