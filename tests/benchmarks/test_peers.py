from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest

from benchmarks import peers
from benchmarks.agreement import draw_polygons
from benchmarks.bisenet import BiSeNet, count_parameters
from benchmarks.landmarker import RINGS, Landmarker
from benchmarks.machine import held_on_cores
from engines.loader import available_cores
from realtime.errors import ModelError
from stn_icnn.labels import CLASS_ID


def test_bisenet_has_the_published_parameters() -> None:
    assert count_parameters(BiSeNet()) / 1e6 == pytest.approx(13.3, abs=0.05)


def test_bisenet_parses_at_full_size() -> None:
    import torch

    with torch.no_grad():
        assert BiSeNet().eval()(torch.zeros(1, 64, 64, 3, dtype=torch.uint8)).shape == (1, 19, 64, 64)


def test_the_rings_are_mediapipes() -> None:
    import mediapipe

    known = mediapipe.tasks.vision.FaceLandmarksConnections
    lips = {(edge.start, edge.end) for edge in known.FACE_LANDMARKS_LIPS}
    eyes = {
        "r_eye": {(edge.start, edge.end) for edge in known.FACE_LANDMARKS_RIGHT_EYE},
        "l_eye": {(edge.start, edge.end) for edge in known.FACE_LANDMARKS_LEFT_EYE},
    }
    for name, ring in RINGS.items():
        edges = {frozenset(pair) for pair in zip(ring, (*ring[1:], ring[0]), strict=True)}
        theirs = {frozenset(pair) for pair in eyes.get(name, lips)}
        assert edges <= theirs, name
        if name in eyes:
            assert edges == theirs, name


def test_polygons_become_labels() -> None:
    points = np.zeros((478, 2))
    angle = np.linspace(0.0, 2.0 * np.pi, 21)[:-1]
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points[list(RINGS["lips"])] = 50.0 + 20.0 * circle
    points[list(RINGS["mouth"])] = 50.0 + 10.0 * circle
    label = draw_polygons(points, (100, 100))
    assert (label == CLASS_ID["mouth"]).sum() == pytest.approx(np.pi * 100, rel=0.15)
    assert (label == CLASS_ID["u_lip"]).sum() == pytest.approx(np.pi * 300, rel=0.15)


def test_a_missing_model_is_told_with_the_way_to_get_it(tmp_path: Path) -> None:
    for model, why in ((None, "no model was given"), (tmp_path / "none.task", "no such file")):
        with pytest.raises(ModelError, match=f"{why}.*--landmarker PATH"):
            Landmarker(model, video=True)


def test_ours_is_timed_where_peers_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "CLIP_FRAMES", 4)
    monkeypatch.setattr(peers, "BLOCK", 2)
    monkeypatch.setattr(peers, "_networks", lambda rounds, threads, notes: [])
    args = argparse.Namespace(
        threads=2, rounds=2, network_rounds=1, clip=None, landmarker=None, landmarks_data=None, most=None
    )
    result = peers.run(args)
    assert result.rows[0].name == "ours"
    assert any("no model was given" in note for note in result.notes)
    assert any("threads: the process is held on 2 cores" in note for note in result.notes)


def test_cores_are_held_and_given_back() -> None:
    before = available_cores()
    with held_on_cores(1):
        assert available_cores() == 1
    assert available_cores() == before
