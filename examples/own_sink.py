"""A sink of your own: adds up how much of the demo's first frames was painted."""

from engines import load_engine
from realtime.effects import parse_effect
from realtime.effects.rendering import Renderer
from realtime.faces import FaceDetector, FaceTracker
from realtime.frames import RenderedFrame
from realtime.pipeline import Pipeline, Stage
from realtime.sources import open_source


class CountPixels:
    """Anything with `write`, `close` and `abort` is a sink."""

    def __init__(self) -> None:
        self.frames = self.changed = 0

    def write(self, rendered: RenderedFrame) -> bool:
        """Take a frame, in order, on the thread that runs the pipeline; False asks for the end."""
        self.frames += 1
        self.changed += int((rendered.image != rendered.frame.image).any(axis=2).sum())
        return True

    def close(self, whole: bool = True) -> None:
        """Finish: every frame was written, if `whole`."""
        thousands = self.changed / self.frames / 1e3
        print(f"{self.frames} frames, about {thousands:.0f} thousand pixels painted in each")

    def abort(self) -> None:
        """Give up: something failed."""


engine, _ = load_engine(precision="fp32", threads=2)
detector = FaceDetector(max_faces=1)
stages = [
    Stage("parse", FaceTracker(detector, engine).update),  # Frame -> ParsedFrame
    Stage("render", Renderer([parse_effect("hair:color=#6a2c70")]).render),  # ParsedFrame -> RenderedFrame
]
report = Pipeline(open_source("demo"), stages, [CountPixels()], max_frames=6).run()
print(sorted(report.timing.summary()["stages"]))
detector.close()
engine.close()

# Prints:
# 6 frames, about 89 thousand pixels painted in each
# ['output', 'parse', 'render']
