from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from stn_icnn.checkpoint import (
    SHIPPED,
    Checkpoint,
    CheckpointError,
    add_files,
    load_network,
    read_checkpoint,
    save_checkpoint,
)
from stn_icnn.config import PAPER
from tests.conftest import make_network, tiny_config


def test_a_network_comes_back_as_it_was(tiny_checkpoint: Checkpoint) -> None:
    network = make_network(tiny_config())
    loaded = load_network(read_checkpoint(tiny_checkpoint.path))
    crops = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(loaded(crops), network(crops))
    assert loaded.config == network.config


def test_the_shipped_weights_are_whole_and_fit_their_network() -> None:
    checkpoint = read_checkpoint()
    assert checkpoint.network["name"] == "realtime"
    for name in checkpoint.files:
        checkpoint.verified(name)
    assert {"realtime.safetensors", "realtime.xml", "realtime.bin"} <= set(checkpoint.files)
    load_network(checkpoint)
    assert checkpoint.path.stat().st_size < 4e6


def test_the_papers_network_is_shipped_too() -> None:
    checkpoint = read_checkpoint(SHIPPED.with_name("paper.safetensors"))
    assert checkpoint.network["name"] == "paper"
    assert load_network(checkpoint).config == PAPER
    assert checkpoint.path.stat().st_size < 12e6


def test_damaged_weights_are_refused(tiny_checkpoint: Checkpoint) -> None:
    data = bytearray(tiny_checkpoint.path.read_bytes())
    data[-1] ^= 1
    tiny_checkpoint.path.write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(tiny_checkpoint.path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "damaged manifest"),
        (lambda text: "[]", "damaged manifest"),
        (lambda text: text.replace("stn-icnn-1", "other-9"), "format"),
        (lambda text: text.replace("tiny.safetensors", "else.safetensors"), "damaged manifest"),
    ],
)
def test_damaged_manifests_are_refused(tiny_checkpoint: Checkpoint, change: object, message: str) -> None:
    assert callable(change)
    manifest = tiny_checkpoint.path.with_suffix(".json")
    manifest.write_text(change(manifest.read_text()))
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(tiny_checkpoint.path)


def test_missing_files_are_named(tiny_checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such weights"):
        read_checkpoint(tmp_path / "none.safetensors")
    tiny_checkpoint.path.with_suffix(".json").unlink()
    with pytest.raises(CheckpointError, match="missing"):
        read_checkpoint(tiny_checkpoint.path)


def test_weights_of_another_shape_are_refused(tiny_checkpoint: Checkpoint) -> None:
    manifest = tiny_checkpoint.path.with_suffix(".json")
    data = json.loads(manifest.read_text())
    data["network"]["coarse"]["widths"] = [5, 6, 8]
    manifest.write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match="not weights of its configuration"):
        load_network(read_checkpoint(tiny_checkpoint.path))


def test_files_beside_the_weights_are_vouched_for(tiny_checkpoint: Checkpoint) -> None:
    extra = tiny_checkpoint.path.with_name("tiny.xml")
    extra.write_text("network")
    add_files(tiny_checkpoint, ["tiny.xml"], {"agreement": 1.0})
    checkpoint = read_checkpoint(tiny_checkpoint.path)
    assert checkpoint.verified("tiny.xml") == extra
    extra.write_text("other")
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.verified("tiny.xml")


def test_saving_leaves_no_temporary_file(tmp_path: Path) -> None:
    network = make_network(tiny_config())
    save_checkpoint(network, network.state_dict(), tmp_path / "w.safetensors", {"mean_f1_19": 0.5})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["w.json", "w.safetensors"]
    assert read_checkpoint(tmp_path / "w.safetensors").metrics == {"mean_f1_19": 0.5}
