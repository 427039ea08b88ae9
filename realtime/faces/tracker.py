"""The face tracker: predict, detect, associate, observe, update, spawn, retire; once for each frame.

Between detections a track's crop follows its own parsing: where eyes and mouth were parsed last says where
to look now. The detector searches for new faces every few frames, and at once after a cut or a loss.
A parsing always comes from the very frame that it is drawn on; what isn't seen in a frame isn't shown.

docs/architecture.md shows a frame's way through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engines import Engine
from realtime.faces.cuts import CutDetector
from realtime.faces.detector import FaceDetector
from realtime.faces.keypoints import align_keypoints, detected_keypoints
from realtime.faces.observation import Observation, make_observation
from realtime.faces.parsing import SURE_SCORE, parse_crops
from realtime.faces.smoothing import STRENGTH, CropSmoother, ParsingSmoother
from realtime.faces.tracks import (
    Track,
    appearance_distance,
    associate,
    describe_appearance,
    is_rotated_double,
    lies_on,
    same_place,
)
from realtime.faces.tta import parse_augmented
from realtime.faces.views import further_views
from realtime.frames import Detection, Frame, Image, ParsedFace, ParsedFrame, Points

# A face that lies this far, in sides, from where its crop was laid is cut out and parsed once more.
REPARSE_DISTANCE = 0.12
# A lost track keeps its identity for so long.
MAX_TIME_LOST = 1.5
# After a longer gap between frames, in seconds, nothing is carried on.
MAX_GAP = 1.0
# While as many faces are tracked as are wanted, others are searched for so much less often.
_FULL_PERIOD_FACTOR = 6
# A face already tracked counts as so much larger when the largest are chosen: equals don't alternate.
_TRACKED_BONUS = 1.2


class FaceTracker:
    """Finds, tracks and parses the faces of a sequence of frames; not for several threads at once.

    Args:
        detector: see `FaceDetector`; its `max_faces` is the limit here too.
        engine: see `engines.Engine`.
        detection_period: frames from one search for new faces to the next, at least 1.
        smoothing: see `ParsingSmoother.strength`.
        thorough: do in each frame what a video's frames share: search every view of it, and cut each face
            out once more where its own parsing says. For single images.
        tta: parsings that are averaged for each face of each frame, see `realtime.faces.tta`.
    """

    def __init__(
        self,
        detector: FaceDetector,
        engine: Engine,
        detection_period: int = 5,
        smoothing: float = STRENGTH,
        thorough: bool = False,
        tta: int = 1,
    ) -> None:
        self.detector, self.engine = detector, engine
        self.detection_period, self.smoothing = detection_period, smoothing
        self.thorough, self.tta = thorough, tta
        self._last_id = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything but the identities given, which are not used again.

        A gap in time does the same, and so does a step back: what follows is then the same as in a run that
        begins there, which a resumed one relies on.
        """
        self._tracks: list[Track] = []
        self._next_view_group = 0
        self._cut = CutDetector()
        self._time: float | None = None
        self._frames_since_cut = 0

    def update(self, frame: Frame) -> ParsedFrame:
        """Return the faces of a frame, largest first; frames come in order of time."""
        image, now = frame.image, float(frame.time)
        if self._time is not None and not 0.0 < now - self._time <= MAX_GAP:
            self.reset()
        self._time = now
        if self._cut(image):
            self._tracks, self._frames_since_cut = [], 0
        searched = self._detect_in_turn(image, now)
        observations = self._observe(image, self._select(), now)
        if not searched and not all(observation.is_face for observation in observations):
            observations = self._recover(image, observations, now)
        faces = self._update_tracks(image, observations, now)
        self._retire(now)
        return ParsedFrame(frame, tuple(sorted(faces, key=lambda face: -face.alignment.side)))

    # Detect: which part of a frame is searched is this frame's turn.

    def _detect_in_turn(self, image: Image, now: float) -> bool:
        """Search for faces as far as it is this frame's turn; return whether the whole frame was searched."""
        selected = self._select()
        full = len(selected) == self.detector.max_faces
        period = self.detection_period * (_FULL_PERIOD_FACTOR if full else 1)
        turn, self._frames_since_cut = self._frames_since_cut % period, self._frames_since_cut + 1
        if not selected or turn == 0:
            # Further views have a turn of their own, so that no frame takes long without need.
            self._detect(image, now, further=not selected or period == 1)
            return True
        if turn == period // 2:
            self._detect(image, now, whole=False)
        return False

    def _detect(self, image: Image, now: float, whole: bool = True, further: bool = True) -> None:
        """Search the whole frame, one group of further views of it (in turns), or both; then associate.

        A thorough tracker searches every group.
        """
        detections = list(self.detector.detect(image)) if whole else []
        of_whole, alternatives = len(detections), dict[int, Detection]()
        # The best view of a face first: the others of it are then left out.
        for face in sorted(self._search_views(image) if further else [], key=lambda face: -face.score):
            _merge(detections, alternatives, face)
        crops = [align_keypoints(detected_keypoints(each)).crop(image, 64) for each in detections]
        appearances = [describe_appearance(crop) for crop in crops]
        matched = associate(detections, appearances, self._tracks, now)
        for index, detection in enumerate(detections):
            if index in matched:
                # A further view alone knows no more of a face that is tracked.
                track = matched[index]
                if track.lost:
                    track.alternative = alternatives.get(index)
                if whole or track.lost:
                    track.detected(detection, now)
            elif not self._is_tracked(detection, now):
                self._spawn(detection, alternatives.get(index), index < of_whole, now)

    def _search_views(self, image: Image) -> list[Detection]:
        """Return the faces that the next group of further views, or every group, shows whole."""
        groups = further_views(*image.shape[:2])
        views = sum(groups, ()) if self.thorough else groups[self._next_view_group % len(groups)]
        self._next_view_group += 1
        found = [view.back(face) for view in views for face in self.detector.search(view.cut(image))]
        return [face for face in found if any(view.holds(face) for view in views)]

    def _is_tracked(self, detection: Detection, now: float) -> bool:
        """Say whether a detection lies on a face that is tracked already: a second, worse view of it."""
        keypoints = detected_keypoints(detection)
        return any(lies_on(keypoints, track.predict(now)) for track in self._tracks if not track.lost)

    # Spawn and retire.

    def _spawn(self, detection: Detection, alternative: Detection | None, whole: bool, now: float) -> None:
        self._last_id += 1
        smoother = ParsingSmoother(self.smoothing)
        track = Track(self._last_id, detection, detected_keypoints(detection), now, smoother)
        track.whole, track.alternative = whole, alternative
        self._tracks.append(track)

    def _retire(self, now: float) -> None:
        """Drop the tracks that were lost for too long, and at once those that were never shown."""
        self._tracks = [
            track
            for track in self._tracks
            if not track.lost or (track.appearance is not None and now - track.seen <= MAX_TIME_LOST)
        ]

    def _select(self) -> list[Track]:
        """Return the tracks to observe: the largest that are not lost; the others are lost from now on."""
        alive = [track for track in self._tracks if not track.lost]
        alive.sort(key=lambda track: -track.side * (_TRACKED_BONUS if track.appearance is not None else 1.0))
        for track in alive[self.detector.max_faces :]:
            track.lost = True
        return alive[: self.detector.max_faces]

    # Observe: what this frame shows of each track, by parsing it.

    def _observe(self, image: Image, tracks: Sequence[Track], now: float) -> list[Observation]:
        """Parse tracks where they are predicted, and once more those that turn out to lie elsewhere."""
        observations = self._parse(image, tracks, [track.predict(now) for track in tracks], now)
        observations = [self._try_alternative(image, observation, now) for observation in observations]
        enough = 0.0 if self.thorough else REPARSE_DISTANCE
        off = [index for index, each in enumerate(observations) if each.is_face and each.distance > enough]
        for index in off:
            # The crop goes there at once.
            tracks[index].crop = CropSmoother()
        keypoints = [observations[index].keypoints for index in off]
        moved = self._parse(image, [tracks[index] for index in off], keypoints, now)
        for index, observation in zip(off, moved, strict=True):
            if observation.is_face:
                observations[index] = observation
        return observations

    def _try_alternative(self, image: Image, observation: Observation, now: float) -> Observation:
        """Parse a track where its other detection has it; return what shows more of a face."""
        track = observation.track
        if track.alternative is None:
            return observation
        first = track.detection, track.whole
        track.detection, track.whole = track.alternative, False
        track.alternative, track.crop = None, CropSmoother()
        keypoints = detected_keypoints(track.detection)
        (other,) = self._parse(image, [track], [keypoints], now)
        track.crop = CropSmoother()
        if other.beats(observation):
            track.keypoints = keypoints
            return other
        track.detection, track.whole = first
        return observation

    def _parse(
        self, image: Image, tracks: Sequence[Track], predicted: Sequence[Points], now: float
    ) -> list[Observation]:
        """Parse tracks whose keypoints are thought to be at `predicted`."""
        alignments = [
            track.crop(align_keypoints(points), now - track.seen)
            for track, points in zip(tracks, predicted, strict=True)
        ]
        detections = [track.detection for track in tracks]
        faces, crops = parse_crops(image, detections, alignments, self.engine)
        return list(map(make_observation, tracks, faces, crops, predicted))

    def _recover(self, image: Image, observations: Sequence[Observation], now: float) -> list[Observation]:
        """Search out of turn, as a face was lost, and observe what was found."""
        for observation in observations:
            observation.track.lost |= not observation.is_face
        self._detect(image, now)
        good = [observation for observation in observations if observation.is_face]
        known = {observation.track.track_id for observation in good}
        rest = [track for track in self._select() if track.track_id not in known]
        return good + self._observe(image, rest, now)

    # Update.

    def _update_tracks(
        self, image: Image, observations: Sequence[Observation], now: float
    ) -> list[ParsedFace]:
        """Update tracks by their observations; of two that see one face it is the one that it resembles."""
        kept: list[Observation] = []
        # A new track comes last: it resembles itself whatever it is.
        order = sorted(
            observations,
            key=lambda one: (one.track.appearance is None, appearance_distance(one.appearance, one.track)),
        )
        for observation in order:
            double = any(same_place(observation.keypoints, other.keypoints) for other in kept)
            if observation.is_face and not double:
                kept.append(observation)
            else:
                observation.track.lost = True
        faces = parse_augmented(image, [observation.face for observation in kept], self.engine, self.tta)
        crops = [observation.crop for observation in kept]
        if self.tta > 1:
            crops = [face.alignment.crop(image, self.engine.spec.input_size) for face in faces]
        return [self._smooth(*one, now) for one in zip(kept, faces, crops, strict=True)]

    def _smooth(self, observation: Observation, face: ParsedFace, crop: Image, now: float) -> ParsedFace:
        track = observation.track
        planes = track.parsing(face.probabilities, crop, face.alignment, now - track.seen)
        track.update(observation.keypoints, observation.appearance, now)
        return replace(face, detection=track.detection, probabilities=planes, track_id=track.track_id)


def _merge(detections: list[Detection], alternatives: dict[int, Detection], face: Detection) -> None:
    """Add what only a further view shows; one that may be better than a known detection to its alternatives.

    It stays doubtful, and must parse as a face.

    Args:
        detections: known ones.
        alternatives: by index of those, another detection of the same face.
        face: from a further view, in the image's pixels.
    """
    keypoints = detected_keypoints(face)
    doubtful = replace(face, score=min(face.score, SURE_SCORE - 0.01))
    for index, known in enumerate(detections):
        before = detected_keypoints(known)
        if is_rotated_double(keypoints, before):
            alternatives.setdefault(index, doubtful)
            return
        if same_place(keypoints, before):
            if known.score < doubtful.score:
                detections[index] = doubtful
            return
    detections.append(doubtful)
