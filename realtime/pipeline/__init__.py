"""One thread a stage, bounded channels between, the sinks on the caller's thread; what each stage took.

Knows sources and sinks by their protocols, and nothing of faces and effects.
"""

from realtime.pipeline.pipeline import Pipeline, Report, Stage

__all__ = ["Pipeline", "Report", "Stage"]
