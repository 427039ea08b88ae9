"""What a run writes while it trains: log.csv, TensorBoard events, and curves drawn from them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

FIELDS = ["phase", "epoch", "seconds", "loss", "mean_f1_19", "paper_overall_f1", "mean_iou_19"]
CSV = "log.csv"


class LogError(Exception):
    """A run's log can't be drawn; the message says why."""


class Log:
    """One row an epoch, in a CSV file and as TensorBoard scalars; a context manager.

    Args:
        folder: of the run; rows are appended where it was logged before.
    """

    def __init__(self, folder: Path) -> None:
        from tensorboardX import SummaryWriter

        self._path = folder / CSV
        self._events = SummaryWriter(str(folder / "tensorboard"))

    def write(self, epoch: int, row: dict[str, float | str]) -> None:
        """Write what an epoch gave.

        Args:
            epoch: counted over all phases.
            row: by the names of `FIELDS`; what wasn't measured is left out.
        """
        new = not self._path.is_file()
        with self._path.open("a", newline="") as file:
            writer = csv.DictWriter(file, FIELDS)
            if new:
                writer.writeheader()
            writer.writerow(row)
        for name, value in row.items():
            if name not in ("phase", "epoch"):
                self._events.add_scalar(f"{row['phase']}/{name}", value, epoch)
        self._events.flush()

    def __enter__(self) -> Log:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the event file."""
        self._events.close()


def plot(folders: Sequence[Path], path: Path) -> None:
    """Draw loss, mean F1 and overall F1 of runs over their epochs, as one PNG.

    Args:
        folders: of the runs, each with its log.csv.
        path: the PNG.

    Raises:
        LogError: if a log is missing or not one.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    logs = {folder.name: _read(folder / CSV) for folder in folders}
    figure = Figure(figsize=(13, 4), layout="constrained")
    titles = {"loss": "training loss", "mean_f1_19": "val, mean F1", "paper_overall_f1": "val, overall F1"}
    for index, (name, title) in enumerate(titles.items()):
        axes = figure.add_subplot(1, 3, index + 1, title=title, xlabel="epoch")
        for run, rows in logs.items():
            points = [(epoch, float(row[name])) for epoch, row in enumerate(rows, 1) if row.get(name)]
            axes.plot(*zip(*points, strict=True), label=run, marker="." if index else None)
            for epoch in (e for e in range(1, len(rows)) if rows[e]["phase"] != rows[e - 1]["phase"]):
                axes.axvline(epoch + 0.5, color="0.85", linewidth=1, zorder=0)
        axes.grid(alpha=0.3)
        if index == 0:
            axes.set_yscale("log")
            axes.legend()
    temporary = path.with_suffix(".tmp")
    FigureCanvasAgg(figure)
    figure.savefig(temporary, format="png")
    temporary.replace(path)


def _read(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        if not rows or any(not row["loss"] for row in rows) or not any(row["mean_f1_19"] for row in rows):
            raise LogError(f"{path}: no epoch with a validation in it yet")
        for row in rows:
            float(row["loss"])
    except OSError as error:
        raise LogError(f"{path}: cannot be read ({error.strerror})") from None
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise LogError(f"{path}: no training log ({error!r})") from None
    return rows
