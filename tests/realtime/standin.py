"""A run of the front door without network and detector, which take seconds to load: no face is found."""

from __future__ import annotations

import sys
import time
from typing import Any

import realtime.app
import realtime.sources.replay
from run_webcam import main


class NoFaces:
    """Stands for the detector and for the engine."""

    max_faces = 4

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def detect(self, image: object) -> list[Any]:
        return []

    def search(self, image: object) -> list[Any]:
        return []

    def close(self) -> None:
        pass


def no_engine(*_: object) -> tuple[NoFaces, str]:
    return NoFaces(), "engine: stand-in"


STAND_INS = {"load_engine": no_engine, "FaceDetector": NoFaces}

if __name__ == "__main__":
    # Slowly, so that the run can be killed in the middle: seconds a frame, seconds a segment, then flags.
    pause = float(sys.argv[1])
    realtime.sources.replay.SEGMENT_SECONDS = float(sys.argv[2])

    class Slow(NoFaces):
        def detect(self, image: object) -> list[Any]:
            time.sleep(pause)
            return []

    for name, stand_in in {**STAND_INS, "FaceDetector": Slow}.items():
        setattr(realtime.app, name, stand_in)
    sys.exit(main(sys.argv[3:]))
