"""A crew of processes on this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from realtime.app.config import RunConfig
from realtime.batch.crew import Event
from realtime.batch.worker import START_ERRORS, Outcome, Worker

JOIN_SECONDS = 5.0


@dataclass(frozen=True)
class _Hand:
    process: SpawnProcess
    connection: Connection


class ProcessCrew:
    """See `Crew`.

    Args:
        config: any job's.
        count: how many processes.
        worker: what does the jobs.
    """

    def __init__(
        self, config: RunConfig, count: int, worker: Callable[[RunConfig, str], Worker] = Worker
    ) -> None:
        self._config, self._worker = config, worker
        # Not forked: the engine's and the detector's threads would not survive it.
        self._context = multiprocessing.get_context("spawn")
        self._hands: dict[int, _Hand] = {}
        self._count = 0
        for _ in range(count):
            self._start()

    def _start(self) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_serve, args=(theirs, self._worker, self._config, os.getcwd()), daemon=True
        )
        with _ctrl_c_is_ours():
            process.start()
        theirs.close()
        self._hands[self._count] = _Hand(process, ours)
        self._count += 1

    def give(self, worker: int, job: RunConfig) -> None:
        """See `Crew.give`."""
        # One that has just died is found out by the next wait.
        with contextlib.suppress(OSError):
            self._hands[worker].connection.send(job)

    def wait(self, seconds: float) -> Event | None:
        """See `Crew.wait`."""
        numbers = {hand.connection: number for number, hand in self._hands.items()}
        for connection in wait(list(numbers), seconds):
            assert isinstance(connection, Connection)
            return self._next(numbers[connection])
        return None

    def _next(self, number: int) -> Event:
        hand = self._hands[number]
        try:
            kind, outcome = hand.connection.recv()
        except (EOFError, OSError):
            self._let_go(number)
            self._start()
            return Event(number, "lost", f"exit code {hand.process.exitcode}")
        if isinstance(outcome, Outcome):
            return Event(number, kind, outcome=outcome)
        return Event(number, kind, outcome)

    def _let_go(self, number: int) -> None:
        hand = self._hands.pop(number)
        hand.process.join(JOIN_SECONDS)
        if hand.process.is_alive():
            hand.process.kill()
            hand.process.join(JOIN_SECONDS)
        hand.connection.close()

    def close(self) -> None:
        """See `Crew.close`."""
        for hand in self._hands.values():
            hand.process.kill()
        for number in list(self._hands):
            self._let_go(number)


@contextlib.contextmanager
def _ctrl_c_is_ours() -> Iterator[None]:
    """Let what is started here never see a Ctrl-C, which the terminal sends to all; ours waits."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # It is started with the first process, and lets signals through again while we hold them.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(
    connection: Connection, make: Callable[[RunConfig, str], Worker], config: RunConfig, folder: str
) -> None:
    """Do jobs until there are no more, or nobody is left who would want them."""
    try:
        worker = make(config, folder)
    except START_ERRORS as error:
        connection.send(("unfit", str(error)))
        return
    connection.send(("ready", worker.line))
    with contextlib.suppress(EOFError, OSError):
        while True:
            connection.send(("done", worker.do(connection.recv())))
