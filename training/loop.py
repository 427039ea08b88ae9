"""The training loop: phases one after the other, schedule, averaging, validation and resuming."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from stn_icnn.checkpoint import load_network, read_checkpoint, save_checkpoint
from stn_icnn.icnn import ICNNOutput
from stn_icnn.network import Pictures, STNiCNN, place
from training.data import AugmentedFaces, Faces, Keys, Pack, batches, find_folder, load_faces, pack_faces
from training.evaluate import evaluate_network
from training.logs import Log
from training.losses import LabelTools, class_weights
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
        roots: folders that hold the sets' folders.
        out: folder for weights, state, logs and the packed faces.
        device: "cpu" or "cuda".
        precision: "fp32", or "bf16": iCNNs in bfloat16, everything else in float32.
        workers: processes that augment.
        pack: file of packed faces to share between runs; None for one in `out`.
        init: weights to start from where names and shapes agree; None for random ones.
        settings_text: the settings file as read, kept in the state.
    """

    settings: Settings
    roots: Sequence[Path]
    out: Path
    device: str = "cpu"
    precision: str = "fp32"
    workers: int = 1
    pack: Path | None = None
    init: Path | None = None
    settings_text: str = ""
    progress: Progress = field(default_factory=Progress)


def choose_precision(asked: str, device: str) -> str:
    """Return the precision for "auto": bf16 where the processor computes in it, else fp32."""
    if asked != "auto":
        return asked
    if device == "cpu":
        # oneDNN emulates bfloat16 elsewhere, slower than float32.
        able = torch.cpu._is_avx512_bf16_supported()
    else:
        able = torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16" if able else "fp32"


def _halve(network: STNiCNN, device: str) -> None:
    """Let the iCNNs, nearly all of the work, compute in bfloat16; theta and losses keep float32."""

    def halved(forward: Callable[..., ICNNOutput]) -> Callable[..., ICNNOutput]:
        def run(image: Tensor, *more: Any, **others: Any) -> ICNNOutput:
            with torch.autocast(device, torch.bfloat16):
                logits, features = forward(image, *more, **others)
            return ICNNOutput(logits.float(), features.float())

        return run

    for body in filter(None, (network.coarse, network.face, *network.part_nets.values())):
        body.forward = halved(body.forward)


def fit(run: Run) -> Path:
    """Train, or go on where the state in `run.out` stands; return the weights file.

    Raises:
        CheckpointError: if the weights to start from can't be read.
        DataError: if the data is bad, before anything is trained.
        StateError: if `run.out` holds a state of other settings or a damaged one.
    """
    settings = run.settings
    config = settings.network
    torch.manual_seed(settings.seed)
    network = place(STNiCNN(config), run.device)
    if run.init is not None:
        total = len(network.state_dict())
        print(f"{run.init}: {_start_from(network, run.init)} of {total} tensors taken", flush=True)
    if run.precision == "bf16":
        _halve(network, run.device)
    average = Average(network, settings.average)
    validation = settings.validation
    # Validation first: it is small, and what is wrong with it is told before the long packing.
    folder = find_folder(run.roots, validation.folder)
    val = load_faces(folder, validation, 512)
    pack_path = run.pack or run.out / "faces.pack.safetensors"
    pack = pack_faces(pack_path, run.roots, settings.sets, max(settings.store_size, config.input_size))
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
    count = sum(p.numel() for p in network.parameters())
    how = f"{run.precision} on {run.device}"
    print(f"{config.name}: {count:,} parameters, {how}, {len(pack)} faces", flush=True)
    with Log(run.out) as log:
        while run.progress.phase < len(settings.phases):
            _fit_phase(run, network, average, pack, val, moments, log)
            moments = {}
    return run.out / f"{config.name}.safetensors"


def _start_from(network: STNiCNN, weights: Path) -> int:
    """Copy the weights whose names and shapes agree; return how many do.

    A face stage starts as the coarse stage of a network that has none: both parse the face crop.
    """
    known = load_network(read_checkpoint(weights)).state_dict()
    own = network.state_dict()
    if network.face is not None and not any(key.startswith("face.") for key in known):
        stage = {key: value for key, value in known.items() if key.startswith("coarse.")}
        known |= {key.replace("coarse.", "face.", 1): value for key, value in stage.items()}
    taken = {key: value for key, value in known.items() if key in own and own[key].shape == value.shape}
    network.load_state_dict(own | taken)
    return len(taken)


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

    def __init__(self, run: Run, network: STNiCNN, average: Average, pack: Pack) -> None:
        self.run, self.network, self.average, self.pack = run, network, average, pack
        self.phase = run.settings.phases[run.progress.phase]
        self.modules = trained_modules(self.phase.name, network)
        self.rates = [self.phase.coarse_rate if m is network.coarse else 1.0 for m in self.modules]
        self.parameters = [p for module in self.modules for p in module.parameters()]
        settings = run.settings
        weights = class_weights(pack.frequency, settings.class_balance, settings.boost)
        tools = LabelTools(network, weights, settings.dice)
        self.loss_of = phase_loss(self.phase.name, network, tools, self.phase.fine)
        self.optimizer = self._optimizer()
        self.saved = time.monotonic()

    def _optimizer(self) -> torch.optim.Optimizer:
        """Return the optimizer, a group a module and kind; learning rates are set at every step."""
        settings = self.run.settings
        groups, rates = [], []
        for module, rate in zip(self.modules, self.rates, strict=True):
            # Biases and batch norm's scales are not to shrink.
            for kernels in (True, False):
                decay = settings.weight_decay if kernels else 0.0
                members = [p for p in module.parameters() if (p.ndim > 1) == kernels]
                groups.append({"params": members, "weight_decay": decay})
                rates.append(rate)
        self.rates = rates
        if settings.optimizer == "adam":
            return torch.optim.Adam([{**group, "weight_decay": 0.0} for group in groups])
        return torch.optim.AdamW(groups)

    def epoch(self, dataset: AugmentedFaces) -> float:
        """Train the rest of the current epoch; return the mean loss."""
        # Modules of other phases keep their batch-norm statistics.
        self.network.eval()
        for module in self.modules:
            module.train()
        progress, settings = self.run.progress, self.run.settings
        rare, size = settings.repeat_rare, self.phase.batch_size
        keys = batches(self.pack, settings.sets, rare, size, progress.total_epochs, settings.seed)
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
        last = torch.channels_last
        split = self.network.split(image.to(self.run.device))
        pictures = Pictures(*(picture.contiguous(memory_format=last) for picture in split))
        loss = self.loss_of(pictures, target.to(self.run.device))
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
    pack: Pack,
    val: Faces,
    moments: dict[str, Tensor],
    log: Log,
) -> None:
    trainer = _PhaseTrainer(run, network, average, pack)
    phase, progress = trainer.phase, run.progress
    if trainer.parameters:
        restore_optimizer(trainer.optimizer, moments)
        side, settings = network.config.packing.square_size, run.settings
        dataset = AugmentedFaces(pack, side, settings.augmentation, settings.seed)
        while progress.epoch < phase.epochs:
            started = time.monotonic()
            loss = round(trainer.epoch(dataset), 5)
            row: dict[str, float | str] = {"phase": phase.name, "epoch": progress.epoch, "loss": loss}
            if progress.epoch == phase.epochs or progress.epoch % settings.validate_every == 0:
                row |= _validate(
                    run, network, average, val, stages="coarse" if phase.name == "coarse" else "all"
                )
            seconds = time.monotonic() - started
            log.write(progress.total_epochs, row | {"seconds": round(seconds, 1)})
            left = seconds * (phase.epochs - progress.epoch) / 60.0
            print(f"  {phase.name}: {left:.0f} min left at this rate", flush=True)
            trainer.save()
        # Kept, to tell what each phase brought; the next one overwrites the run's own weights.
        _keep_phase(run, network, average, phase.name)
        # The next phase goes on from the better weights, and with new moments.
        network.load_state_dict(average.values)
        trainer.optimizer.state.clear()
    else:
        print(f"phase {phase.name}: nothing to train in {network.config.name}, skipped", flush=True)
    progress.phase, progress.epoch = progress.phase + 1, 0
    trainer.save()


def _keep_phase(run: Run, network: STNiCNN, average: Average, phase: str) -> None:
    save_checkpoint(network, average.values, run.out / f"{network.config.name}.{phase}.safetensors")


def _validate(run: Run, network: STNiCNN, average: Average, val: Faces, stages: str) -> dict[str, float]:
    """Score the averaged weights on val and save them."""
    scored = place(STNiCNN(network.config), run.device)
    scored.load_state_dict(average.values)
    result = evaluate_network(scored.eval(), val, run.device, stages)
    metrics = {key: round(result[key], 4) for key in ("mean_f1_19", "paper_overall_f1", "mean_iou_19")}
    path = run.out / f"{network.config.name}.safetensors"
    save_checkpoint(scored, average.values, path, {"split": "val", **result})
    print("  val:", *(f"{key} {value:.4f}" for key, value in metrics.items()), flush=True)
    return metrics


def _load(dataset: AugmentedFaces, keys: list[Keys], workers: int) -> Iterator[tuple[Tensor, Tensor]]:
    return iter(DataLoader(dataset, batch_sampler=keys, num_workers=workers))


def schedule(done: float) -> float:
    """Return the learning rate's factor at a share of the phase: short warm-up, then a cosine."""
    warm = 0.05
    if done < warm:
        return 0.1 + 0.9 * done / warm
    return 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * (done - warm) / (1.0 - warm)))
