"""Observing tracks: each is parsed where it is predicted, or its last parsing is carried on to the frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from engines import Engine
from realtime.faces.crop_smoothing import CropSmoother
from realtime.faces.keypoints import align_keypoints, detected_keypoints
from realtime.faces.observation import Observation, make_observation
from realtime.faces.parsing import Glimpse, parse_crops
from realtime.faces.tracks import Track
from realtime.frames import Points
from realtime.frames.geometry import Alignment
from realtime.frames.halvings import Halvings
from stn_icnn.packing import Pictures

# A face that lies this far, in sides, from where its crop was laid is cut out and parsed once more.
REPARSE_DISTANCE = 0.12


class Scene(NamedTuple):
    """What is observed.

    Attributes:
        seen: the frame's image.
        time: of the frame, seconds.
    """

    seen: Halvings
    time: float


class Observer:
    """Says what a frame shows of tracks.

    Args:
        engine: see `engines.Engine`.
        thorough: see `FaceTracker`.
    """

    def __init__(self, engine: Engine, thorough: bool) -> None:
        self.engine, self.thorough = engine, thorough

    def __call__(self, scene: Scene, tracks: Sequence[Track]) -> list[Observation]:
        """Observe tracks where they are predicted, and once more those that turn out to lie elsewhere."""
        predicted = [track.predict(scene.time) for track in tracks]
        observations = self._follow(scene, tracks, predicted)
        observations = [self._try_alternative(scene, observation) for observation in observations]
        enough = 0.0 if self.thorough else REPARSE_DISTANCE
        off = [index for index, each in enumerate(observations) if each.is_face and each.distance > enough]
        for index in off:
            # The crop goes there at once.
            tracks[index].crop = CropSmoother()
        keypoints = [observations[index].keypoints for index in off]
        moved = self._parse(scene, [tracks[index] for index in off], keypoints)
        for index, observation in zip(off, moved, strict=True):
            if observation.is_face:
                observations[index] = observation
        return observations

    def _follow(
        self, scene: Scene, tracks: Sequence[Track], predicted: Sequence[Points]
    ) -> list[Observation]:
        """Carry parsings on where they may be; parse the other tracks, together."""
        crops = _lay(scene, tracks, predicted)
        carried = [self._propagate(scene, *one) for one in zip(tracks, predicted, crops, strict=True)]
        rest = [index for index, observation in enumerate(carried) if observation is None]
        parsed = self._parse(
            scene, [tracks[i] for i in rest], [predicted[i] for i in rest], [crops[i] for i in rest]
        )
        found = iter(parsed)
        return [next(found) if observation is None else observation for observation in carried]

    def _propagate(
        self, scene: Scene, track: Track, predicted: Points, crop: Alignment
    ) -> Observation | None:
        """Carry a track's last parsing on, if it explains what the frame shows."""
        glimpse = Glimpse(scene.seen, crop, self.engine)
        face = track.smoother.propagate(glimpse, crop, scene.time)
        if face is None:
            return None
        pictures = Pictures(glimpse.face, glimpse.head)
        return make_observation(track, replace(face, content=scene.seen.content), pictures, predicted)

    def _try_alternative(self, scene: Scene, observation: Observation) -> Observation:
        """Parse a track where its other detection has it; return what shows more of a face."""
        track = observation.track
        if track.alternative is None:
            return observation
        first = track.detection, track.whole
        track.detection, track.whole = track.alternative, False
        track.alternative, track.crop = None, CropSmoother()
        keypoints = detected_keypoints(track.detection)
        (other,) = self._parse(scene, [track], [keypoints])
        track.crop = CropSmoother()
        if other.beats(observation):
            track.keypoints = keypoints
            return other
        track.detection, track.whole = first
        return observation

    def _parse(
        self,
        scene: Scene,
        tracks: Sequence[Track],
        predicted: Sequence[Points],
        crops: Sequence[Alignment] | None = None,
    ) -> list[Observation]:
        """Parse tracks whose keypoints are thought to be at `predicted`; None: their crops are laid there."""
        crops = _lay(scene, tracks, predicted) if crops is None else crops
        detections = [track.detection for track in tracks]
        faces, pictures = parse_crops(scene.seen, detections, crops, self.engine)
        return list(map(make_observation, tracks, faces, pictures, predicted))


def _lay(scene: Scene, tracks: Sequence[Track], predicted: Sequence[Points]) -> list[Alignment]:
    """Return where the crops of tracks lie whose keypoints are thought to be at `predicted`."""
    return [
        track.crop(align_keypoints(points), scene.time - track.seen)
        for track, points in zip(tracks, predicted, strict=True)
    ]
