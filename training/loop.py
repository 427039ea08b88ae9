"""The training loop: phases one after the other, schedule, averaging, validation and resuming."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from stn_icnn.checkpoint import save_checkpoint
from stn_icnn.config import NAMED
from stn_icnn.network import STNiCNN, place
from training.data import AugmentedFaces, Faces, batches, load_faces
from training.evaluate import evaluate_network
from training.phases import phase_loss, trained_modules
from training.settings import Settings
from training.state import Progress, StateError, read_state, restore_optimizer, save_state

SAVE_SECONDS = 120.0
STATE = "state.safetensors"


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
    state_path = run.out / STATE
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


class _PhaseTrainer:
    """One phase: its modules, optimizer and loss."""

    def __init__(self, run: Run, network: STNiCNN, average: Average) -> None:
        self.run, self.network, self.average = run, network, average
        self.phase = run.settings.phases[run.progress.phase]
        self.modules = trained_modules(self.phase.name, network)
        self.rates = [self.phase.coarse_rate if m is network.coarse else 1.0 for m in self.modules]
        self.parameters = [p for module in self.modules for p in module.parameters()]
        self.loss_of = phase_loss(self.phase.name, network)
        groups = [{"params": list(module.parameters())} for module in self.modules]
        # The learning rates are set at every step.
        self.optimizer: torch.optim.Optimizer
        if run.settings.optimizer == "adam":
            self.optimizer = torch.optim.Adam(groups)
        else:
            self.optimizer = torch.optim.AdamW(groups, weight_decay=run.settings.weight_decay)
        self.saved = time.monotonic()

    def epoch(self, dataset: AugmentedFaces) -> float:
        """Train the rest of the current epoch; return the mean loss."""
        # Modules of other phases keep their batch-norm statistics.
        self.network.eval()
        for module in self.modules:
            module.train()
        progress, seed = self.run.progress, self.run.settings.seed
        keys = batches(len(dataset), self.phase.batch_size, progress.total_epochs, seed)
        loader = _load(dataset, keys[progress.batch :], self.run.workers)
        losses = []
        label = f"{self.phase.name} {progress.epoch + 1}/{self.phase.epochs}"
        for image, target in (bar := tqdm(loader, desc=label, total=len(keys), initial=progress.batch)):
            losses.append(self._step(image, target, progress.epoch * len(keys) + progress.batch, len(keys)))
            progress.batch += 1
            bar.set_postfix(loss=f"{sum(losses[-20:]) / len(losses[-20:]):.3f}", refresh=False)
            if time.monotonic() - self.saved > SAVE_SECONDS:
                self.save()
        progress.epoch, progress.batch = progress.epoch + 1, 0
        progress.total_epochs += 1
        return sum(losses) / max(1, len(losses))

    def _step(self, image: Tensor, target: Tensor, step: int, steps_an_epoch: int) -> float:
        rate = schedule(step / (steps_an_epoch * self.phase.epochs)) * self.phase.learning_rate
        for group, share in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * share
        normalised = STNiCNN.normalise(image.to(self.run.device))
        normalised = normalised.contiguous(memory_format=torch.channels_last)
        loss = self.loss_of(normalised, target.to(self.run.device))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.parameters, 5.0)
        self.optimizer.step()
        self.average.update(self.network, step)
        return float(loss.detach())

    def save(self) -> None:
        """Write the run's state."""
        path = self.run.out / STATE
        save_state(path, self.network.state_dict(), self.average.values, self.optimizer, self.run.progress)
        self.saved = time.monotonic()


def _fit_phase(
    run: Run,
    network: STNiCNN,
    average: Average,
    faces: Faces,
    val: Faces,
    moments: dict[str, Tensor],
) -> None:
    trainer = _PhaseTrainer(run, network, average)
    phase, progress = trainer.phase, run.progress
    if trainer.parameters:
        restore_optimizer(trainer.optimizer, moments)
        side, settings = network.config.input_size, run.settings
        dataset = AugmentedFaces(faces, side, settings.augmentation, settings.seed)
        while progress.epoch < phase.epochs:
            started = time.monotonic()
            loss = round(trainer.epoch(dataset), 5)
            row: dict[str, float | str] = {"phase": phase.name, "epoch": progress.epoch, "loss": loss}
            if progress.epoch == phase.epochs or progress.epoch % settings.validate_every == 0:
                row |= _validate(run, network, average, val, coarse_only=phase.name == "coarse")
            _log(run.out / "log.csv", row | {"seconds": round(time.monotonic() - started, 1)})
            trainer.save()
        # The next phase goes on from the better weights, and with new moments.
        network.load_state_dict(average.values)
        trainer.optimizer.state.clear()
    else:
        print(f"phase {phase.name}: nothing to train in {network.config.name}, skipped", flush=True)
    progress.phase, progress.epoch = progress.phase + 1, 0
    trainer.save()


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


def schedule(done: float) -> float:
    """Return the learning rate's factor at a share of the phase: short warm-up, then a cosine."""
    warm = 0.05
    if done < warm:
        return 0.1 + 0.9 * done / warm
    return 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * (done - warm) / (1.0 - warm)))


def _log(path: Path, row: dict[str, float | str]) -> None:
    fields = ["phase", "epoch", "seconds", "loss", "mean_f1_19", "paper_overall_f1", "mean_iou_19"]
    new = not path.is_file()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fields)
        if new:
            writer.writeheader()
        writer.writerow(row)
