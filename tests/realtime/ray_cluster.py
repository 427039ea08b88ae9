"""A batch on a Ray cluster of two nodes on this machine, one of which is killed when some files are done.

Arguments: the folder of the outputs, how many must be there before the node is killed, then the batch's.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

import realtime.batch.__main__ as batch
from tests.realtime.standin import QuickWorker

# A dead node is found out within seconds.
QUICK = {"health_check_period_ms": 500, "health_check_failure_threshold": 4, "health_check_timeout_ms": 1000}
SMALL = {"num_cpus": 1, "object_store_memory": 80 * 1024 * 1024, "include_dashboard": False}


def kill_when(folder: Path, count: int, cluster: Cluster) -> None:
    """Kill the second node when so many outputs are there."""

    def outputs() -> int:
        return len(list(folder.glob("[!.]*.mp4")))

    deadline = time.monotonic() + 60
    while outputs() < count and time.monotonic() < deadline:
        time.sleep(0.02)
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    print(f"killed when {outputs()} were done", flush=True)


def main() -> int:
    """Run the batch; return its exit code."""
    folder, count, *flags = sys.argv[1:]
    setattr(batch, "Worker", QuickWorker)  # noqa: B010
    cluster = Cluster(initialize_head=True, head_node_args={**SMALL, "_system_config": QUICK})
    cluster.add_node(**SMALL)
    killer = threading.Thread(target=kill_when, args=(Path(folder), int(count), cluster), daemon=True)
    killer.start()
    try:
        code = batch.main([*flags, "--output-dir", folder, "--ray", cluster.address])
        killer.join(30)
    finally:
        cluster.shutdown()
    return code


if __name__ == "__main__":
    assert ray.__version__
    sys.exit(main())
