"""Compiled networks kept between runs: built once, found by all that they depend on, checked when read.

An entry is a folder with the compiled files and a manifest. It is built under a temporary name and
renamed when whole; a lock keeps two processes from building the same one twice. What is damaged or
does not match is built anew.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock
from platformdirs import user_cache_path

from engines.engine import EngineUnavailable
from engines.parity import Parity
from stn_icnn.checkpoint import sha256_of

FORMAT = 1
MANIFEST = "manifest.json"
# Grows while an engine runs, with a check of its own: no part of what the manifest vouches for.
RUNTIME_CACHE = "runtime.cache"
TICK_SECONDS = 10.0


def user_folder() -> Path:
    """Return the folder for all that is kept between runs: STN_ICNN_CACHE, or in the user's cache."""
    override = os.environ.get("STN_ICNN_CACHE")
    return Path(override) if override else user_cache_path("stn-icnn")


@dataclass(frozen=True)
class Key:
    """All that a compiled network depends on.

    Attributes:
        weights: SHA-256 of the weights.
        network: its configuration as plain data.
        backend: who runs it.
        precision: "fp32", "fp16" or "int8".
        max_batch: largest batch that it takes; 0 for any.
        device: name and capability of the device it was made for; "any" where it does not matter.
        versions: of the libraries that made it and run it.
    """

    weights: str
    network: Mapping[str, Any]
    backend: str
    precision: str
    max_batch: int = 0
    device: str = "any"
    versions: Mapping[str, str] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        data: dict[str, Any] = json.loads(json.dumps(asdict(self) | {"format": FORMAT}))
        return data

    @property
    def folder(self) -> str:
        """Return the name of its entry: readable, and different for every key."""
        digest = hashlib.sha256(json.dumps(self.plain(), sort_keys=True).encode()).hexdigest()
        return f"{self.network['name']}-{self.backend}-{self.precision}-{digest[:16]}"


@dataclass(frozen=True)
class Entry:
    """A compiled network on disk.

    Attributes:
        folder: its files.
        manifest: key, files with SHA-256, parity (none where it was built for another machine and has not
            run yet), build time and seconds.
        kept: False where it could not be stored and lasts for this run alone.
    """

    folder: Path
    manifest: Mapping[str, Any]
    kept: bool = True

    @property
    def parity(self) -> Parity | None:
        """Return how it compared with eager, None where it has not run yet."""
        parity = self.manifest["parity"]
        return None if parity is None else Parity(**parity)


Build = Callable[[Path], Parity | None]
"""Writes a compiled network's files into a folder and compares what it wrote with eager, where it can run."""


class EngineCache:
    """The user's compiled networks.

    Args:
        root: folder of the entries; None for the user's.
        report: gets one line for what takes long or went wrong.
        announce: whether builds that go well are told at all.
    """

    def __init__(
        self,
        root: Path | None = None,
        report: Callable[[str], None] | None = None,
        announce: bool = True,
    ) -> None:
        self.root = root or user_folder() / "engines"
        self.report = report or _to_stderr
        self._announces = announce

    def obtain(self, key: Key, build: Build) -> Entry:
        """Return the entry of a key, building it where there is none or it is damaged.

        Raises:
            EngineError: if the build fails.
            EngineUnavailable: if there is no place to build in.
        """
        found = self.find(key)
        if found is not None:
            return found
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with self._lock(key):
                # Another process may have built it while this one waited.
                return self.find(key) or self._build(key, build)
        except OSError as error:
            self.report(f"engine cache {self.root}: {error}; building for this run alone")
        return self._build_for_now(key, build)

    def find(self, key: Key) -> Entry | None:
        """Return the whole entry of a key, or None; a damaged one is told and removed."""
        folder = self.root / key.folder
        if not folder.is_dir():
            return None
        problem = damage(folder, key)
        if problem is None:
            return Entry(folder, json.loads((folder / MANIFEST).read_text()))
        self.remove(folder, problem)
        return None

    def remove(self, folder: Path, problem: str) -> None:
        """Remove an entry that can't be used, and tell why."""
        self.report(f"engine cache {folder.name}: {problem}; building it anew")
        # Moved aside first: a name that is taken can't be renamed to.
        try:
            aside = Path(tempfile.mkdtemp(prefix=".damaged-", dir=self.root))
            os.rename(folder, aside / "entry")
            shutil.rmtree(aside, ignore_errors=True)
        except FileNotFoundError:
            pass  # another process was faster
        except OSError as error:
            self.report(f"engine cache {folder.name}: cannot be removed ({error})")

    def confirm(self, entry: Entry, parity: Parity) -> Entry:
        """Write into the manifest of an entry that was built elsewhere how it compares with eager here."""
        manifest = {**entry.manifest, "parity": asdict(parity)}
        # Where the folder can't be written to, the next start compares again.
        with contextlib.suppress(OSError):
            _write_manifest(entry.folder, manifest)
        return Entry(entry.folder, manifest, entry.kept)

    def kin(self, key: Key) -> list[Entry]:
        """Return the entries of the same network that were built for another device or by other versions."""

        def likeness(data: Mapping[str, Any]) -> dict[str, Any]:
            return {name: value for name, value in data.items() if name not in ("device", "versions")}

        own = key.plain()
        keys = [(entry, entry.manifest.get("key")) for entry in self.entries()]
        return [
            entry
            for entry, of in keys
            if isinstance(of, dict) and of != own and likeness(of) == likeness(own)
        ]

    def entries(self) -> list[Entry]:
        """Return every whole entry, oldest first, whatever it was built for."""
        found = []
        for path in sorted(self.root.glob(f"*/{MANIFEST}"), key=lambda path: path.stat().st_mtime):
            try:
                found.append(Entry(path.parent, json.loads(path.read_text())))
            except (OSError, ValueError):
                continue
        return found

    def clear(self) -> int:
        """Delete every entry, whole or not; return how many."""
        folders = [path for path in self.root.glob("*") if path.is_dir()] if self.root.is_dir() else []
        for folder in folders:
            shutil.rmtree(folder)
        for lock in self.root.glob("*.lock"):
            lock.unlink(missing_ok=True)
        return len(folders)

    def _lock(self, key: Key) -> FileLock:
        lock = FileLock(self.root / f"{key.folder}.lock")
        try:
            lock.acquire(timeout=0)
        except TimeoutError:
            self.report("another process is building this engine; waiting for it")
        else:
            lock.release()
        return lock

    def _build(self, key: Key, build: Build) -> Entry:
        temporary = Path(tempfile.mkdtemp(prefix=".building-", dir=self.root))
        try:
            self._fill(temporary, key, build)
            folder = self.root / key.folder
            os.rename(temporary, folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        return Entry(folder, json.loads((folder / MANIFEST).read_text()))

    def _build_for_now(self, key: Key, build: Build) -> Entry:
        try:
            folder = Path(tempfile.mkdtemp(prefix="stn-icnn-engine-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            self._fill(folder, key, build)
        except OSError as error:
            raise EngineUnavailable(f"no place to build an engine in: {error}; free some space") from None
        return Entry(folder, json.loads((folder / MANIFEST).read_text()), kept=False)

    def _fill(self, folder: Path, key: Key, build: Build) -> None:
        self._announce(
            f"building the {key.backend} {key.precision} engine of {key.network['name']} (once) ..."
        )
        started = time.monotonic()
        with self._ticking(started):
            parity = build(folder)
        if parity is not None:
            parity.require(key.precision)
        seconds = time.monotonic() - started
        built = [path for path in sorted(folder.iterdir()) if path.name != RUNTIME_CACHE]
        files = {path.name: sha256_of(path) for path in built}
        manifest = {
            "key": key.plain(),
            "files": files,
            "parity": None if parity is None else asdict(parity),
            "built": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "seconds": round(seconds, 1),
        }
        _write_manifest(folder, manifest)
        self._announce(f"built in {seconds:.0f} s: {parity or 'compared with eager when it runs first'}")

    def _announce(self, line: str) -> None:
        if self._announces:
            self.report(line)

    @contextlib.contextmanager
    def _ticking(self, started: float) -> Iterator[None]:
        """Report every few seconds that something is still under way."""
        done = threading.Event()

        def tick() -> None:
            while not done.wait(TICK_SECONDS):
                self._announce(f"... still building after {time.monotonic() - started:.0f} s")

        thread = threading.Thread(target=tick, name="building", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def damage(folder: Path, key: Key | None = None) -> str | None:
    """Return what is wrong with an entry, or None.

    Args:
        folder: of the entry.
        key: what it should have been built for; None to check its files alone.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        if key is not None and manifest["key"] != key.plain():
            return "built for something else"
        for name, sha256 in manifest["files"].items():
            if sha256_of(folder / name) != sha256:
                return f"{name} is damaged"
        if manifest["parity"] is not None:
            Parity(**manifest["parity"])
    except FileNotFoundError as error:
        return f"{Path(str(error.filename)).name} is missing"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"the manifest is damaged ({error!r})"
    return None


def _write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    temporary = folder / f"{MANIFEST}.tmp"
    temporary.write_text(json.dumps(manifest, indent=1) + "\n")
    os.replace(temporary, folder / MANIFEST)


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
