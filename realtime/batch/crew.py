"""What every crew of workers is, and giving it the tasks of a batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from realtime.app.config import RunConfig
from realtime.batch.inputs import Task
from realtime.batch.worker import Outcome, remove_leftovers
from realtime.errors import RealtimeError

POLL_SECONDS = 0.2
# So many workers may end before they begin, one after the other.
FALSE_STARTS = 3


class CrewError(RealtimeError):
    """No worker can begin."""


@dataclass(frozen=True)
class Event:
    """Something happened to a worker.

    Attributes:
        worker: its number; none is given twice.
        kind: "ready" (`text` says what engine runs), "done" (`outcome`), "lost" (`text` says how), or
            "unfit": it can't begin for a reason that holds for all, which `text` says.
        text, outcome: see there.
    """

    worker: int
    kind: str
    text: str = ""
    outcome: Outcome | None = None


class Crew(Protocol):
    """Workers; for one that is lost another one is started."""

    def give(self, worker: int, job: RunConfig) -> None:
        """Give a job to a worker that is ready or done."""
        ...

    def wait(self, seconds: float) -> Event | None:
        """Return what happens next; None if nothing does for so long."""
        ...

    def close(self) -> None:
        """End all workers at once; what they were doing is lost."""
        ...


class Foreman:
    """Gives tasks to a crew until all are done or have failed.

    Args:
        crew: closed by `run`.
        attempts: so often a task is tried where its failure may not be its own.
        on_outcome: called with each task that is done or has failed.
        line: called with what engine runs, once for each, and with what is lost.
        stopped: asked often; when it says so the run ends.
    """

    def __init__(
        self,
        crew: Crew,
        attempts: int,
        on_outcome: Callable[[Task, Outcome], None],
        line: Callable[[str], None],
        stopped: Callable[[], bool],
    ) -> None:
        self._crew, self._attempts, self._on_outcome, self._line = crew, attempts, on_outcome, line
        self._stopped = stopped
        self._waiting: deque[tuple[Task, int]] = deque()
        self._busy: dict[int, tuple[Task, int]] = {}
        self._idle: list[int] = []
        self._lines: set[str] = set()
        self._false_starts = 0

    def run(self, tasks: Sequence[Task]) -> None:
        """Do the tasks.

        Raises:
            CrewError: if no worker can begin.
        """
        self._waiting.extend((task, 1) for task in tasks)
        try:
            while (self._waiting or self._busy) and not self._stopped():
                while self._waiting and self._idle:
                    self._give(self._idle.pop())
                event = self._crew.wait(POLL_SECONDS)
                if event is not None:
                    self._take(event)
            self._take_what_is_done()
        finally:
            self._crew.close()
            for task, _ in self._busy.values():
                _tidy(task)

    def _take_what_is_done(self) -> None:
        """After a stop: what is done has only to be noted."""
        while self._busy and (event := self._crew.wait(0.0)) is not None:
            if event.outcome is not None:
                self._settle(event.worker, event.outcome)

    def _give(self, worker: int) -> None:
        task, attempt = self._waiting.popleft()
        self._busy[worker] = task, attempt
        self._crew.give(worker, task.config)

    def _take(self, event: Event) -> None:
        if event.kind == "unfit":
            raise CrewError(event.text)
        if event.kind == "lost":
            self._lose(event)
            return
        self._idle.append(event.worker)
        if event.outcome is not None:
            self._settle(event.worker, event.outcome)
        elif event.text not in self._lines:
            self._lines.add(event.text)
            self._line(event.text)
        self._false_starts = 0

    def _lose(self, event: Event) -> None:
        if event.worker in self._busy:
            task, _ = self._busy[event.worker]
            self._line(f"warning: a worker was lost ({event.text}) at work on {task.file}")
            _tidy(task)
            self._settle(event.worker, Outcome(error=f"its worker was lost ({event.text})", again=True))
        elif event.worker in self._idle:
            self._idle.remove(event.worker)
        else:
            self._false_starts += 1
            if self._false_starts >= FALSE_STARTS:
                raise CrewError(f"workers end before they begin ({event.text})")

    def _settle(self, worker: int, outcome: Outcome) -> None:
        task, attempt = self._busy.pop(worker)
        if outcome.error and outcome.again and attempt < self._attempts:
            self._waiting.append((task, attempt + 1))
            return
        if outcome.error and attempt > 1:
            outcome = replace(outcome, error=f"{outcome.error} (tried {attempt} times)")
        self._on_outcome(task, outcome)


def _tidy(task: Task) -> None:
    for path in task.outputs:
        remove_leftovers(path)
