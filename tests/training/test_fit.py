"""Training end to end on drawn faces: it learns, it resumes, it says what is wrong."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import training.loop
import training.losses
import training.phases
from realtime import FaceParser
from realtime.errors import ModelError
from stn_icnn.checkpoint import load_network, read_checkpoint
from stn_icnn.config import NAMED
from stn_icnn.labels import CLASS_ID
from tests.conftest import Image, tiny_config
from training.__main__ import CONFIGS, main
from training.loop import schedule
from training.losses import Objective
from training.settings import read_settings

SETTINGS = """
network = "tiny"
seed = 3
store_size = 64
validate_every = 1
average = 0.5

[augmentation]
occlude = 0.0

[[phases]]
name = "coarse"
epochs = 2
learning_rate = 5e-3
batch_size = 2

[[phases]]
name = "localizer"
epochs = 1
learning_rate = 1e-3
batch_size = 2

[[phases]]
name = "parts"
epochs = 1
learning_rate = 1e-3
batch_size = 2

[[phases]]
name = "end_to_end"
epochs = 1
learning_rate = 1e-3
batch_size = 2
coarse_rate = 0.5
"""


@pytest.fixture(autouse=True)
def _small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NAMED, "tiny", tiny_config("replace", "conv"))


def fit_args(folder: Path, out: Path, settings: str = SETTINGS) -> list[str]:
    config = folder / "tiny.toml"
    config.write_text(settings)
    data = ["--data", str(folder), "--out", str(out), "--workers", "0", "--threads", "1"]
    return ["fit", "--config", str(config), "--device", "cpu", *data]


def test_all_four_phases_train_and_the_result_can_be_scored(
    face_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(fit_args(face_folder, out)) == 0
    weights = out / "tiny.safetensors"
    assert f"trained: {weights}" in capsys.readouterr().out
    with (out / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["phase"] for row in rows] == ["coarse", "coarse", "localizer", "parts", "end_to_end"]
    assert float(rows[1]["loss"]) < float(rows[0]["loss"])
    assert read_checkpoint(weights).metrics["split"] == "val"
    after = [load_file(out / f"tiny.{phase}.safetensors") for phase in ("coarse", "parts", "end_to_end")]
    head = "coarse.head.1.weight"
    assert torch.equal(after[0][head], after[1][head]), "the parts phase leaves the coarse stage alone"
    assert not torch.equal(after[1][head], after[2][head])
    scores = tmp_path / "scores.json"
    args = ["evaluate", "--weights", str(weights), "--data", str(face_folder), "--json", str(scores)]
    assert main(args) == 0
    result = json.loads(scores.read_text())
    assert result["faces"] == 2
    assert 0.0 <= result["mean_f1_19"] <= 1.0
    assert "mean_f1_19" in capsys.readouterr().out
    seen = {}
    for stages in ("all", "coarse", "true-crops"):
        assert main([*args, "--stages", stages]) == 0
        seen[stages] = json.loads(scores.read_text())["pixel_accuracy"]
    assert seen["all"] == result["pixel_accuracy"]
    assert len(set(seen.values())) == 3


@pytest.mark.parametrize(("asked", "runs"), [("fp32", "fp32"), ("bf16", "bf16")])
def test_the_precision_is_said(
    asked: str, runs: str, face_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = SETTINGS[: SETTINGS.index('[[phases]]\nname = "localizer"')]
    assert main([*fit_args(face_folder, tmp_path / "run", short), "--precision", asked]) == 0
    assert f"{runs} on cpu" in capsys.readouterr().out
    weights = load_file(tmp_path / "run" / "tiny.safetensors")
    assert all(value.dtype in (torch.float32, torch.int64) for value in weights.values())


def test_entries_can_be_changed_on_the_command_line(
    face_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = fit_args(face_folder, tmp_path / "run")
    short = "phases = [{name = 'coarse', epochs = 1, learning_rate = 1e-3, batch_size = 2}]"
    changes = ["--set", short, "--set", "shape.name = 'thin'", "--set", "shape.coarse.widths = [4, 4]"]
    assert main([*args, *changes]) == 0
    config = load_network(read_checkpoint(tmp_path / "run" / "thin.safetensors")).config
    assert config.coarse.widths == (4, 4)
    assert config.coarse.layers == NAMED["tiny"].coarse.layers
    assert main([*args, *changes, "--set", "seed = 9"]) == 1
    assert "made with other settings" in capsys.readouterr().err
    assert main([*args, "--set", "seed"]) == 2
    assert main([*args, "--set", "sead = 1"]) == 2


def test_a_run_can_start_from_other_weights(
    face_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = fit_args(face_folder, tmp_path / "first")
    coarse = "phases = [{name = 'coarse', epochs = 1, learning_rate = 1e-3, batch_size = 2}]"
    assert main([*args, "--set", coarse]) == 0
    first = tmp_path / "first" / "tiny.safetensors"
    parts = "phases = [{name = 'parts', epochs = 1, learning_rate = 1e-3, batch_size = 2}]"
    args = [*fit_args(face_folder, tmp_path / "second"), "--set", parts]
    # Another localizer has other tensors: they keep their random start.
    assert main([*args, "--set", "shape.localizer = 'moments'", "--init", str(first)]) == 0
    assert "tensors taken" in capsys.readouterr().out
    before, after = load_file(first), load_file(tmp_path / "second" / "tiny.safetensors")
    assert torch.equal(before["coarse.head.1.weight"], after["coarse.head.1.weight"])
    assert set(before) > set(after)
    assert main([*args, "--init", str(tmp_path / "none.safetensors")]) == 1
    assert "no such weights file" in capsys.readouterr().err


def test_runs_can_share_a_pack(face_folder: Path, tmp_path: Path) -> None:
    pack = tmp_path / "faces.safetensors"
    for name in ("one", "two"):
        args = [*fit_args(face_folder, tmp_path / name), "--pack", str(pack), "--set", "phases = []"]
        assert main(args) == 0
        assert not list((tmp_path / name).glob("*.pack.*"))
    assert pack.is_file()


def test_an_interrupted_run_goes_on_to_the_same_weights(
    face_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.use_deterministic_algorithms(True)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert main(fit_args(face_folder, whole)) == 0
    # Saved after every batch, and killed in the middle of the second epoch.
    monkeypatch.setattr(training.loop, "SAVE_SECONDS", -1.0)
    steps = 0
    real = training.losses.segmentation_loss

    def interrupted(logits: Tensor, target: Tensor, objective: Objective) -> Tensor:
        nonlocal steps
        steps += 1
        if steps == 4:
            raise KeyboardInterrupt
        return real(logits, target, objective)

    monkeypatch.setattr(training.phases, "segmentation_loss", interrupted)
    assert main(fit_args(face_folder, cut)) == 130
    assert not (cut / "tiny.tmp").exists()
    monkeypatch.setattr(training.phases, "segmentation_loss", real)
    assert main(fit_args(face_folder, cut)) == 0
    torch.use_deterministic_algorithms(False)
    first, second = (load_file(folder / "tiny.safetensors") for folder in (whole, cut))
    for key, value in first.items():
        assert torch.allclose(value.float(), second[key].float(), atol=1e-5), key


def test_a_finished_run_is_left_as_it_is(face_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert main(fit_args(face_folder, out)) == 0
    before = (out / "tiny.safetensors").read_bytes()
    assert main(fit_args(face_folder, out)) == 0
    assert (out / "tiny.safetensors").read_bytes() == before


def test_other_settings_do_not_resume(
    face_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(fit_args(face_folder, out)) == 0
    assert main(fit_args(face_folder, out, SETTINGS.replace("seed = 3", "seed = 4"))) == 1
    assert "made with other settings" in capsys.readouterr().err
    (out / "state.safetensors").write_bytes(b"half")
    assert main(fit_args(face_folder, out)) == 1
    assert "cannot resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("store_size", "[shape]\nname = 'x'\nwidth = 3\n[y]\nstore_size"), "shape: no entry width"),
        (("seed = 3", "seed = 3\nsets = [{labels = 'odd'}]"), "one of full, hair"),
        (("[[phases]]", "[[phase]]"), "no entry phase"),
        (('network = "tiny"', "network = []"), "one of paper, face, realtime"),
        (("seed = 3", "seed = 'x'"), '"seed" - should be "int"'),
        (("seed = 3", "seed = 3\nshape = 3"), "shape is 3, must be a table"),
        (("seed = 3", "seed = 3\nshape.coarse.layers = 'x'"), '"coarse.layers" - should be "int"'),
        (("seed = 3", "seed = 3\noptimizer = 'sgd'"), "one of adamw, adam"),
        (("average = 0.5", "average = 1.0"), "average is 1.0, must be from 0 to below 1"),
        (("validate_every = 1", "validate_every = 0"), "validate_every is 0, must be at least 1"),
        (("seed = 3", "seed = 3\nsets = [{samples = -1}]"), "samples is -1, must be at least 0"),
        (("epochs = 1", "epochs = 0"), "epochs is 0, must be at least 1"),
        (("epochs = 1", ""), 'missing value for field "phases.epochs"'),
        (("learning_rate = ", "learning_rate = -"), "must be above 0"),
        (('name = "coarse"', 'name = "middle"'), "one of coarse, face, localizer, parts, end_to_end"),
        (('network = "tiny"', 'network = "huge"'), "one of paper, face, realtime"),
        (("seed = 3", "sead = 3"), "sead"),
        (("occlude", "ocelot"), "ocelot"),
        (("seed = 3", "seed = 3\nboost = {nose = 2.0, beard = 2.0}"), "boost: no such class: beard"),
        (("seed = 3", "seed = 3\nsets = [{ignore = ['beard']}]"), "ignore: no such class: beard"),
        (("seed = 3", "seed ="), "line"),
    ],
)
def test_bad_settings_are_usage_errors(
    change: tuple[str, str],
    message: str,
    face_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(fit_args(face_folder, tmp_path / "run", SETTINGS.replace(*change))) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_bad_data_stops_before_training(
    face_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (face_folder / "images" / "face1.jpg").unlink()
    assert main(fit_args(face_folder, tmp_path / "run")) == 1
    assert "images/face1.jpg" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_settings_can_be_read(path: Path) -> None:
    settings = read_settings(path)
    if path.stem in NAMED:
        assert settings.network == NAMED[path.stem]
        assert settings.phases[-1].name == "end_to_end"
    assert settings.validation.split == "val"
    assert all(one.split != "val" for one in settings.sets)


def test_the_schedule_warms_up_peaks_and_falls() -> None:
    assert schedule(0.0) == pytest.approx(0.1)
    assert schedule(0.05) == pytest.approx(1.0)
    assert schedule(1.0) == pytest.approx(0.01)
    assert schedule(0.3) > schedule(0.6) > schedule(0.9)


def test_the_pipeline_is_scored_from_raw_photos(
    tmp_path: Path, portrait: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    with FaceParser() as parser:
        label = parser.parse(portrait)[0].label_map()
    for name, image, truth in (
        ("face", portrait, label),
        ("none", np.zeros_like(portrait), np.zeros_like(label)),
    ):
        cv2.imwrite(str(root / "images" / f"{name}.jpg"), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])
        cv2.imwrite(str(root / "labels" / f"{name}.png"), truth)
    args = [
        "evaluate",
        "--data",
        str(root),
        "--split",
        "all",
        "--protocol",
        "pipeline",
        "--precision",
        "fp32",
    ]
    assert main([*args, "--json", str(tmp_path / "scores.json")]) == 0
    assert "pipeline: faces 2, 1 found" in capsys.readouterr().out
    result = json.loads((tmp_path / "scores.json").read_text())
    assert result["classes"]["hair"] > 0.97, "the parser agrees with itself"
    assert result["protocol"] == "pipeline"


def test_hair_of_photos_held_out_is_scored(
    tmp_path: Path, portrait: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    root, config = tmp_path / "data", tmp_path / "config.toml"
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    with FaceParser(tta=1) as parser:
        hair = (parser.parse(portrait)[0].label_map() == CLASS_ID["hair"]).astype(np.uint8)
    for name in ("held", "taught", "nobody"):
        image = np.zeros_like(portrait) if name == "nobody" else portrait
        cv2.imwrite(str(root / "images" / f"{name}.jpg"), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])
        cv2.imwrite(str(root / "labels" / f"{name}.png"), hair * CLASS_ID["hair"])
    plain = 'network = "face"\nphases = []\n'
    config.write_text(plain + 'sets = [{ without = ["held", "nobody", "elsewhere"] }]\n')
    args = [
        "evaluate",
        "--data",
        str(root),
        "--protocol",
        "pipeline",
        "--tta",
        "1",
        "--held-out",
        str(config),
    ]
    assert main([*args, "--json", str(tmp_path / "scores.json")]) == 0
    assert "pipeline: faces 2, 1 found" in capsys.readouterr().out
    result = json.loads((tmp_path / "scores.json").read_text())
    assert result["hair_f1"] > 0.97
    assert result["hair_f1"] == pytest.approx(
        2 / (1 / result["hair_precision"] + 1 / result["hair_recall"]), abs=1e-6
    )
    config.write_text(plain)
    assert main(args) == 1
    assert "no photo there that" in capsys.readouterr().err
    assert main([*args[:3], "--held-out", str(config)]) == 2
    assert "--held-out goes with --protocol pipeline" in capsys.readouterr().err


def test_a_pipeline_that_cannot_run_is_an_error(
    face_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_model(*_: object) -> None:
        raise ModelError("the model can't be had")

    monkeypatch.setattr("realtime.faces.detector.model_path", no_model)
    assert main(["evaluate", "--data", str(face_folder), "--protocol", "pipeline"]) == 1
    assert "error: the model can't be had" in capsys.readouterr().err


def test_weights_load_after_a_run(face_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert main(fit_args(face_folder, out)) == 0
    assert load_network(read_checkpoint(out / "tiny.safetensors")).config.name == "tiny"
