"""The face tracker: predict, detect, associate, observe, update, spawn, retire; once for each frame.

Between detections a track's crop follows its own parsing: where eyes and mouth were parsed last says where
to look now. The detector searches for new faces every few frames, and at once after a cut or a loss.
A parsing always fits the very frame that it is drawn on; what isn't seen in a frame isn't shown.

docs/architecture.md shows a frame's way through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engines import Engine
from realtime.faces.cuts import CutDetector
from realtime.faces.detector import FaceDetector
from realtime.faces.evidence import NEW_TRACK_THRESHOLD, TRACK_HIGH_THRESHOLD, TrackEvidence
from realtime.faces.keypoints import align_keypoints, detected_keypoints
from realtime.faces.observation import Observation
from realtime.faces.observer import Observer, Scene
from realtime.faces.parsing import cut_pictures
from realtime.faces.propagation import PROPAGATION
from realtime.faces.search import FaceSearch, Found
from realtime.faces.smoothing import STRENGTH, FaceSmoother
from realtime.faces.tracks import (
    Track,
    appearance_distance,
    associate,
    describe_appearance,
    lies_on,
    same_place,
)
from realtime.faces.tta import parse_augmented
from realtime.faces.views import View
from realtime.frames import Detection, Frame, Image, ParsedFace, ParsedFrame
from realtime.frames.halvings import Halvings
from realtime.frames.letterbox import Letterbox
from realtime.people import PersonGate

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
        gate: takes out of the parsings what belongs to no person; None for what the parser says.
        propagation: for how long a face's parsing may be carried on along its motion, seconds, see
            `realtime.faces.propagation`; 0: each frame is parsed, as it is with `thorough` and `tta`.
    """

    def __init__(
        self,
        detector: FaceDetector,
        engine: Engine,
        detection_period: int = 5,
        smoothing: float = STRENGTH,
        thorough: bool = False,
        tta: int = 1,
        gate: PersonGate | None = None,
        propagation: float = PROPAGATION,
    ) -> None:
        self.detector, self.engine = detector, engine
        self.detection_period, self.smoothing = detection_period, smoothing
        self.thorough, self.tta, self.gate = thorough, tta, gate
        # Of one frame, or of several parsings of it, nothing is worth carrying on.
        self.propagation = 0.0 if thorough or tta > 1 else propagation
        self._search = FaceSearch(detector, thorough)
        self._observe = Observer(engine, thorough)
        self._last_id = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything but the identities given, which are not used again.

        A gap in time does the same, and so does a step back: what follows is then the same as in a run that
        begins there, which a resumed one relies on.
        """
        self._tracks: list[Track] = []
        self._search.reset()
        self._cut, self._letterbox = CutDetector(), Letterbox()
        self._time: float | None = None
        self._frames_since_cut, self._scene_begins = 0, True
        if self.gate is not None:
            self.gate.reset()

    def update(self, frame: Frame) -> ParsedFrame:
        """Return the faces of a frame, largest first; frames come in order of time."""
        image, now = frame.image, float(frame.time)
        if self._time is not None and not 0.0 < now - self._time <= MAX_GAP:
            self.reset()
        self._scene_begins, self._time = self._time is None, now
        if self._cut(image):
            self._tracks, self._frames_since_cut, self._scene_begins = [], 0, True
            self._letterbox = Letterbox()
        scene = Scene(Halvings(image, self._letterbox(image)), now)
        searched = self._detect_in_turn(image, now)
        observations = self._observe(scene, self._select())
        if not searched and not all(observation.is_face for observation in observations):
            observations = self._recover(scene, observations)
        faces = self._update_tracks(scene, observations)
        self._retire(now)
        if self.gate is not None:
            faces = self.gate(scene.seen, faces, now)
        return ParsedFrame(frame, tuple(sorted(faces, key=lambda face: -face.alignment.side)))

    # Detect: which part of a frame is searched is this frame's turn.

    def _detect_in_turn(self, image: Image, now: float) -> bool:
        """Search for faces as far as it is this frame's turn; return whether the whole frame was searched."""
        selected = self._select()
        full = len(selected) == self.detector.max_faces
        period = self.detection_period * (_FULL_PERIOD_FACTOR if full else 1)
        turn, self._frames_since_cut = self._frames_since_cut % period, self._frames_since_cut + 1
        # A second look at new tracks, where the first one saw them.
        due = [track for track in selected if track.evidence.is_due(now)]
        views = {track.view: None for track in due if track.view is not None}
        if not selected or turn == period // 2:
            # Further views have a turn of their own, so that no frame takes long without need.
            views |= dict.fromkeys(self._search.next_views(image))
        whole = not selected or turn == 0 or any(track.view is None for track in due)
        if whole or views:
            self._detect(image, now, whole, tuple(views))
        return whole

    def _detect(self, image: Image, now: float, whole: bool, views: Sequence[View]) -> None:
        """Search the whole frame, some further views of it, or both; then associate."""
        found = self._search(image, whole, views)
        detections = [face.detection for face in found]
        crops = [align_keypoints(detected_keypoints(each)).crop(image, 64) for each in detections]
        appearances = [describe_appearance(crop) for crop in crops]
        matched = associate(detections, appearances, self._tracks, now)
        for index, face in enumerate(found):
            if index in matched:
                self._found_again(matched[index], face, whole, now)
            elif not self._is_tracked(face.detection, now):
                self._spawn(face, now)

    def _found_again(self, track: Track, face: Found, whole: bool, now: float) -> None:
        if track.lost:
            track.alternative = face.alternative
        # A further view alone knows no more of a face that is tracked.
        if whole or track.lost:
            track.detected(face.detection, now)
        track.evidence.detect(now)

    def _is_tracked(self, detection: Detection, now: float) -> bool:
        """Say whether a detection lies on a face that is tracked already: a second, worse view of it."""
        keypoints = detected_keypoints(detection)
        return any(lies_on(keypoints, track.predict(now)) for track in self._tracks if not track.lost)

    # Spawn and retire.

    def _spawn(self, face: Found, now: float) -> None:
        keypoints = detected_keypoints(face.detection)
        smoother = FaceSmoother(self.smoothing, self.propagation)
        track = Track(face.detection, keypoints, now, smoother, TrackEvidence(now))
        track.whole, track.view, track.alternative = face.view is None, face.view, face.alternative
        self._tracks.append(track)

    def _retire(self, now: float) -> None:
        """Drop the tracks that were lost for too long, and at once those that were never shown."""
        self._tracks = [
            track
            for track in self._tracks
            if not track.lost or (track.track_id and now - track.seen <= MAX_TIME_LOST)
        ]

    def _select(self) -> list[Track]:
        """Return the tracks to observe: the largest that are not lost; the others are lost from now on."""
        alive = [track for track in self._tracks if not track.lost]
        alive.sort(key=lambda track: -track.side * (_TRACKED_BONUS if track.evidence.confirmed else 1.0))
        for track in alive[self.detector.max_faces :]:
            track.lost = True
        return alive[: self.detector.max_faces]

    # Observe: what this frame shows of each track.

    def _recover(self, scene: Scene, observations: Sequence[Observation]) -> list[Observation]:
        """Search out of turn, as a face was lost, and observe what was found."""
        for observation in observations:
            observation.track.lost |= not observation.is_face
        image = scene.seen.image
        self._detect(image, scene.time, True, self._search.next_views(image))
        good = [observation for observation in observations if observation.is_face]
        known = {observation.track for observation in good}
        rest = [track for track in self._select() if track not in known]
        return good + self._observe(scene, rest)

    # Update.

    def _update_tracks(self, scene: Scene, observations: Sequence[Observation]) -> list[ParsedFace]:
        """Update tracks by their observations; return the faces of those that may be shown."""
        seen, now = scene
        shown = []
        for observation in self._without_doubles(observations):
            track = observation.track
            self._weigh(observation, now)
            if track.evidence.confirmed:
                shown.append(observation)
            elif not track.lost:
                track.update(observation.keypoints, observation.appearance, now)
        faces = parse_augmented(seen, [observation.face for observation in shown], self.engine, self.tta)
        if self.tta > 1:
            cut = [cut_pictures(seen, each.alignment, self.engine) for each in faces]
            shown = [replace(one, pictures=pictures) for one, pictures in zip(shown, cut, strict=True)]
        return [self._smooth(*one, now) for one in zip(shown, faces, strict=True)]

    def _without_doubles(self, observations: Sequence[Observation]) -> list[Observation]:
        """Return those of faces; of two tracks on one face, the one that it resembles. Others are lost."""
        kept: list[Observation] = []
        # A new track comes last: it resembles itself whatever it is.
        order = sorted(
            observations,
            key=lambda one: (
                not one.track.evidence.confirmed,
                one.track.appearance is None,
                appearance_distance(one.appearance, one.track),
            ),
        )
        for observation in order:
            double = any(same_place(observation.keypoints, other.keypoints) for other in kept)
            if observation.is_face and not double:
                kept.append(observation)
            else:
                observation.track.lost = True
        return kept

    def _weigh(self, observation: Observation, now: float) -> None:
        """Confirm a track that has shown enough of a face, drop one that hasn't for too long."""
        track, evidence = observation.track, observation.track.evidence
        seen = track.detection.score, observation.evidence, track.whole
        evidence.observe(*seen, now)
        if self.thorough:
            evidence.judge_alone(*seen, NEW_TRACK_THRESHOLD)
        elif self._scene_begins:
            evidence.judge_alone(*seen, TRACK_HIGH_THRESHOLD)
        if not self.thorough and evidence.is_gone(now):
            evidence.confirmed, track.lost = False, True

    def _smooth(self, observation: Observation, face: ParsedFace, now: float) -> ParsedFace:
        track = observation.track
        if not track.track_id:
            self._last_id += 1
            track.track_id = self._last_id
        smooth = face if face.propagated else track.smoother(face, observation.pictures, now)
        track.update(observation.keypoints, observation.appearance, now)
        return replace(smooth, detection=track.detection, track_id=track.track_id)
