"""Command line of the benchmarks; docs/benchmarks.md says how each of them measures."""

from __future__ import annotations

import argparse
import sys


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code (2 usage, 1 other errors or slower)."""
    words = sys.argv[1:] if argv is None else argv
    if words[:1] == ["gpu"]:
        # It runs where nothing of the pipeline is installed, so nothing of it may be imported.
        from benchmarks import gpu

        return gpu.main(words[1:])
    from benchmarks import commands

    return commands.main(words)


def _parser() -> argparse.ArgumentParser:
    from benchmarks import commands

    return commands.make_parser()


if __name__ == "__main__":
    sys.exit(main())
