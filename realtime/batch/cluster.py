"""A crew on the machines of a Ray cluster; the only file that imports ray."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Callable
from typing import Any

from realtime.app.config import RunConfig
from realtime.batch.crew import CrewError, Event
from realtime.batch.worker import START_ERRORS, Worker
from realtime.errors import UsageError

CONNECT_SECONDS = 5.0


class RayCrew:
    """See `Crew`: one actor a worker, each with as many cores as its engine has threads.

    Args:
        config: any job's.
        count: how many workers; None: as many as the cluster has room for now. More may be asked for: they
            begin when there is room.
        address: of the cluster: HOST:PORT, or "auto" on one of its machines.
        worker: what does the jobs.

    Raises:
        UsageError: if ray is not installed.
        CrewError: if the cluster can't be reached.
    """

    def __init__(
        self,
        config: RunConfig,
        count: int | None,
        address: str,
        worker: Callable[[RunConfig, str], Worker] = Worker,
    ) -> None:
        self._ray = ray = _import_ray()
        self._config, self._worker = config, worker
        _check_there(address)
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            text = " ".join(str(error).split())
            raise CrewError(f"--ray {address}: the cluster cannot be reached: {text}") from None
        threads, gpus = config.threads or 1, 1 if config.require_gpu else 0
        self._actor = ray.remote(num_cpus=threads, num_gpus=gpus, max_restarts=0)(_Actor)
        self.size = count or self._room(threads, gpus)
        self._actors: dict[int, Any] = {}
        self._refs: dict[Any, tuple[int, str]] = {}
        self._count = 0

    def _room(self, threads: int, gpus: int) -> int:
        there = self._ray.cluster_resources()
        room = int(there.get("CPU", 1) // threads)
        return max(1, min(room, int(there.get("GPU", 0))) if gpus else room)

    def start(self, limit: int) -> None:
        """Start the workers, at most so many."""
        for _ in range(min(self.size, limit)):
            self._start()

    def _start(self) -> None:
        actor = self._actor.remote(self._worker)
        self._actors[self._count] = actor
        ready = actor.begin.remote(self._config, os.getcwd())
        self._refs[ready] = self._count, "ready"
        self._count += 1

    def give(self, worker: int, job: RunConfig) -> None:
        """See `Crew.give`."""
        self._refs[self._actors[worker].do.remote(job)] = worker, "done"

    def wait(self, seconds: float) -> Event | None:
        """See `Crew.wait`."""
        found, _ = self._ray.wait(list(self._refs), num_returns=1, timeout=seconds)
        if not found:
            return None
        number, kind = self._refs.pop(found[0])
        try:
            outcome = self._ray.get(found[0])
        except self._ray.exceptions.RayError as error:
            return self._lost(number, type(error).__name__)
        if kind == "done":
            return Event(number, kind, outcome=outcome)
        good, text = outcome
        return Event(number, "ready" if good else "unfit", text)

    def _lost(self, number: int, how: str) -> Event:
        actor = self._actors.pop(number)
        # It may only be out of reach: it must not do the job beside another.
        with contextlib.suppress(self._ray.exceptions.RayError, ValueError):
            self._ray.kill(actor)
        self._start()
        return Event(number, "lost", how)

    def close(self) -> None:
        """See `Crew.close`; the cluster stays."""
        for actor in self._actors.values():
            with contextlib.suppress(self._ray.exceptions.RayError, ValueError):
                self._ray.kill(actor)
        self._ray.shutdown()


class _Actor:
    """Runs a worker on a machine of the cluster."""

    def __init__(self, make: Callable[[RunConfig, str], Worker]) -> None:
        self._make = make
        self._worker: Worker | None = None

    def begin(self, config: RunConfig, folder: str) -> tuple[bool, str]:
        """Load the engine; return whether that went well, and its line or the error's."""
        try:
            self._worker = self._make(config, folder)
        except START_ERRORS as error:
            return False, str(error)
        return True, self._worker.line

    def do(self, job: RunConfig) -> Any:
        """See `Worker.do`."""
        assert self._worker is not None
        return self._worker.do(job)


def _check_there(address: str) -> None:
    """Ask at HOST:PORT whether anything is there; Ray itself would try for two minutes."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise CrewError(f"--ray {address}: no cluster there ({error})") from None


def _import_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise UsageError(f"--ray needs Ray: pip install '.[ray]' ({error})") from None
    return ray
