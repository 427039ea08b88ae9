"""From the command line to a run: arguments, configuration, jobs, folders, resumed jobs, the doctor.

Builds source, stages and sinks from a `RunConfig` and runs them.
"""

from realtime.app.config import RunConfig

__all__ = ["RunConfig"]
