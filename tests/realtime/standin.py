"""A run of the front door without network and detector, which take seconds to load: no face is found."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import realtime.app.run
import realtime.sources.replay
from realtime.app.config import RunConfig
from realtime.batch.worker import Outcome, Worker
from realtime.sinks.sink import temporary_name
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


class QuickWorker(Worker):
    """A batch's worker with the stand-ins, for tests that can't reach into its process.

    The environment says how: STANDIN_LOG, a file that gets the name of each job begun; STANDIN_PAUSE, seconds
    a frame. A job whose file is called deadly ends the process every time, one called unlucky the first time.
    """

    def __init__(self, config: RunConfig, folder: str) -> None:
        for name, stand_in in {**STAND_INS, "FaceDetector": _Slow}.items():
            setattr(realtime.app.run, name, stand_in)
        super().__init__(config, folder)

    def do(self, job: RunConfig) -> Outcome:
        log, name = Path(os.environ["STANDIN_LOG"]), Path(job.source).name
        begun = log.read_text().split() if log.exists() else []
        with log.open("a") as file:
            file.write(f"{name}\n")
        if name.startswith("deadly") or (name.startswith("unlucky") and name not in begun):
            assert job.output is not None
            temporary_name(job.output).write_text("half-done")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().do(job)


class _Slow(NoFaces):
    def detect(self, image: object) -> list[Any]:
        time.sleep(float(os.environ.get("STANDIN_PAUSE", "0")))
        return []


if __name__ == "__main__":
    # Slowly, so that the run can be killed in the middle: seconds a frame, seconds a segment, then flags.
    realtime.sources.replay.SEGMENT_SECONDS = float(sys.argv[2])

    os.environ["STANDIN_PAUSE"] = sys.argv[1]
    for name, stand_in in {**STAND_INS, "FaceDetector": _Slow}.items():
        setattr(realtime.app.run, name, stand_in)
    sys.exit(main(sys.argv[3:]))
