"""The training loop: phases, schedule, weight averaging, validation and resuming."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from stn_icnn.checkpoint import save_checkpoint
from stn_icnn.config import NAMED, PARTS
from stn_icnn.localizer import MomentLocalizer
from stn_icnn.network import Parsing, STNiCNN, place
from training.data import AugmentedFaces, Faces, batches, load_faces
from training.evaluate import evaluate_network
from training.losses import LabelTools, segmentation_loss
from training.settings import Settings
from training.state import Progress, StateError, read_state, restore_optimizer, save_state

SAVE_SECONDS = 120.0
# The composed output is supervised at half the crop: a quarter of the memory, the same edges.
COMPOSED_SIZE = 128
# Parameters, and their share of the learning rate.
Group = tuple[list[nn.Parameter], float]


@dataclass
class Run:
    """What one training run works with.

    Attributes:
        settings: see `Settings`.
        data: folder of labelled faces with train.txt and val.txt.
        out: folder for weights, state and log.
        device: "cpu" or "cuda".
        workers: processes that augment.
        settings_text: the settings file as read, kept in the state.
    """

    settings: Settings
    data: Path
    out: Path
    device: str = "cpu"
    workers: int = 1
    settings_text: str = ""
    progress: Progress = field(default_factory=Progress)


def fit(run: Run) -> Path:
    """Train, or go on where the state in `run.out` stands; return the weights file.

    Raises:
        DataError: if the data is bad, before anything is trained.
        StateError: if `run.out` holds a state of other settings or a damaged one.
    """
    settings = run.settings
    config = NAMED[settings.network]
    torch.manual_seed(settings.seed)
    network = place(STNiCNN(config), run.device)
    average = Average(network, settings.average)
    faces = load_faces(run.data, "train", max(settings.store_size, config.input_size))
    val = load_faces(run.data, "val", 512)
    run.out.mkdir(parents=True, exist_ok=True)
    state_path = run.out / "state.safetensors"
    moments: dict[str, Tensor] = {}
    if state_path.is_file():
        kinds, run.progress = read_state(state_path)
        if run.progress.settings != run.settings_text:
            raise StateError(f"{state_path}: made with other settings; choose another --out or delete it")
        network.load_state_dict(kinds["network"])
        average.values.update(kinds["average"])
        moments = kinds["optimizer"]
    run.progress.settings = run.settings_text
    while run.progress.phase < len(settings.phases):
        _fit_phase(run, network, average, faces, val, moments)
        moments = {}
    return run.out / f"{settings.network}.safetensors"


class Average:
    """Exponential moving average of weights and batch-norm statistics."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {key: value.detach().clone() for key, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Follow the network; early steps follow faster."""
        decay = min(self.decay, (step + 1) / (step + 10))
        for key, value in network.state_dict().items():
            if value.dtype.is_floating_point:
                self.values[key].lerp_(value, 1.0 - decay)
            else:
                self.values[key].copy_(value)


def _fit_phase(
    run: Run,
    network: STNiCNN,
    average: Average,
    faces: Faces,
    val: Faces,
    moments: dict[str, Tensor],
) -> None:
    phase = run.settings.phases[run.progress.phase]
    loss_of = _phase_loss(phase.name, network)
    trained = _trained_modules(phase.name, network)
    groups = [
        (list(module.parameters()), phase.coarse_rate if module is network.coarse else 1.0)
        for module in trained
    ]
    parameters = [parameter for group, _ in groups for parameter in group]
    if not parameters:
        print(f"phase {phase.name}: nothing to train in {network.config.name}, skipped", flush=True)
        _next_phase(run)
        return
    optimizer = _optimizer(run.settings, groups)
    restore_optimizer(optimizer, moments)
    dataset = AugmentedFaces(faces, network.config.input_size, run.settings.augmentation, run.settings.seed)
    steps = phase.epochs * len(batches(len(dataset), phase.batch_size, 0, 0))
    progress = run.progress
    saved = time.monotonic()
    while progress.epoch < phase.epochs:
        started = time.monotonic()
        # Modules of other phases keep their batch-norm statistics.
        network.eval()
        for module in trained:
            module.train()
        keys = batches(len(dataset), phase.batch_size, progress.total_epochs, run.settings.seed)
        done = progress.epoch * len(keys)
        losses = []
        label = f"{phase.name} {progress.epoch + 1}/{phase.epochs}"
        bar = tqdm(_load(dataset, keys[progress.batch :], run.workers), desc=label, mininterval=5)
        for image, target in bar:
            step = done + progress.batch
            rate = schedule(step / max(1, steps)) * phase.learning_rate
            for group, (_, share) in zip(optimizer.param_groups, groups, strict=True):
                group["lr"] = rate * share
            loss = loss_of(_to_input(image, run.device), target.to(run.device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, 5.0)
            optimizer.step()
            average.update(network, step)
            losses.append(float(loss.detach()))
            progress.batch += 1
            bar.set_postfix(loss=f"{sum(losses[-20:]) / len(losses[-20:]):.3f}", refresh=False)
            if time.monotonic() - saved > SAVE_SECONDS:
                _save(run, network, average, optimizer)
                saved = time.monotonic()
        progress.epoch, progress.batch = progress.epoch + 1, 0
        progress.total_epochs += 1
        row: dict[str, float | str] = {
            "phase": phase.name,
            "epoch": progress.epoch,
            "seconds": round(time.monotonic() - started, 1),
            "loss": round(sum(losses) / max(1, len(losses)), 5),
        }
        last = progress.epoch == phase.epochs
        if last or progress.epoch % run.settings.validate_every == 0:
            row |= _validate(run, network, average, val, coarse_only=phase.name == "coarse")
        _log(run.out / "log.csv", row)
    # The next phase goes on from the better weights.
    network.load_state_dict(average.values)
    _next_phase(run)
    _save(run, network, average, optimizer, moments=False)


def _next_phase(run: Run) -> None:
    run.progress.phase += 1
    run.progress.epoch = 0


def _save(
    run: Run, network: STNiCNN, average: Average, optimizer: torch.optim.Optimizer, moments: bool = True
) -> None:
    if not moments:
        optimizer.state.clear()
    state = run.out / "state.safetensors"
    save_state(state, network.state_dict(), average.values, optimizer, run.progress)


def _validate(
    run: Run, network: STNiCNN, average: Average, val: Faces, coarse_only: bool
) -> dict[str, float]:
    """Score the averaged weights on val and save them."""
    scored = place(STNiCNN(network.config), run.device)
    scored.load_state_dict(average.values)
    result = evaluate_network(scored.eval(), val, run.device, coarse_only)
    metrics = {key: round(result[key], 4) for key in ("mean_f1_19", "paper_overall_f1", "mean_iou_19")}
    path = run.out / f"{network.config.name}.safetensors"
    save_checkpoint(scored, average.values, path, {"split": "val", **result})
    print("  val:", *(f"{key} {value:.4f}" for key, value in metrics.items()), flush=True)
    return metrics


def _load(
    dataset: AugmentedFaces, keys: list[list[tuple[int, int]]], workers: int
) -> Iterator[tuple[Tensor, Tensor]]:
    return iter(DataLoader(dataset, batch_sampler=keys, num_workers=workers))


def _to_input(image: Tensor, device: str) -> Tensor:
    normalised = STNiCNN.normalise(image.to(device))
    return normalised.contiguous(memory_format=torch.channels_last)


def schedule(done: float) -> float:
    """Return the learning rate's factor at a share of the phase: short warm-up, then a cosine."""
    warm = 0.05
    if done < warm:
        return 0.1 + 0.9 * done / warm
    return 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * (done - warm) / (1.0 - warm)))


def _optimizer(settings: Settings, groups: list[Group]) -> torch.optim.Optimizer:
    # The learning rates are set at every step.
    parameters = [{"params": group} for group, _ in groups]
    if settings.optimizer == "adam":
        return torch.optim.Adam(parameters)
    return torch.optim.AdamW(parameters, weight_decay=settings.weight_decay)


def _trained_modules(phase: str, network: STNiCNN) -> list[nn.Module]:
    modules: dict[str, list[nn.Module]] = {
        "coarse": [network.coarse],
        "localizer": [network.localizer],
        "parts": [network.part_nets],
        "end_to_end": [network.coarse, network.localizer, network.part_nets],
    }
    return modules[phase]


def _phase_loss(phase: str, network: STNiCNN) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss of a phase: (normalised images, uint8 labels) -> scalar."""
    tools = LabelTools(network)
    by_label = MomentLocalizer(list(network.part_channels.values()), [p.prior for p in PARTS.values()])

    def label_theta(label: Tensor) -> Tensor:
        target = tools.channels(label)
        one_hot = F.one_hot(target.masked_fill(target == 255, 0), len(network.config.classes))
        return cast(Tensor, by_label.to(label.device)(one_hot.movedim(-1, 1).float()))

    def coarse_loss(logits: Tensor, label: Tensor) -> Tensor:
        side = network.config.coarse_size
        if logits.shape[-1] != side:
            logits = F.interpolate(logits, size=(side, side), mode="bilinear")
        return segmentation_loss(logits, tools.channels(label, side))

    def coarse(image: Tensor, label: Tensor) -> Tensor:
        return coarse_loss(network.parse_coarse(image), label)

    def localizer(image: Tensor, label: Tensor) -> Tensor:
        with torch.no_grad():
            probabilities = torch.softmax(network.parse_coarse(image), dim=1)
        return F.smooth_l1_loss(network.localizer(probabilities), label_theta(label), beta=0.05)

    def parts(image: Tensor, label: Tensor) -> Tensor:
        theta = label_theta(label)
        with torch.no_grad():
            logits = network.parse_coarse(image)
        found = network.parse_parts(image, torch.softmax(logits, dim=1), theta)
        parsing = Parsing(logits, theta, found, network.compose(logits, theta, found, COMPOSED_SIZE))
        return tools.part_loss(parsing, tools.channels(label))

    def end_to_end(image: Tensor, label: Tensor) -> Tensor:
        parsing = network.parse(image, output_size=COMPOSED_SIZE)
        composed = segmentation_loss(parsing.logits, tools.channels(label, COMPOSED_SIZE))
        inner = tools.part_loss(parsing, tools.channels(label))
        return composed + 0.5 * coarse_loss(parsing.coarse_logits, label) + inner

    return {"coarse": coarse, "localizer": localizer, "parts": parts, "end_to_end": end_to_end}[phase]


def _log(path: Path, row: dict[str, float | str]) -> None:
    fields = ["phase", "epoch", "seconds", "loss", "mean_f1_19", "paper_overall_f1", "mean_iou_19"]
    new = not path.is_file()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fields)
        if new:
            writer.writeheader()
        writer.writerow(row)
