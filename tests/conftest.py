"""What several packages' tests share: small networks, a portrait, videos made on the spot."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2  # before av, as everywhere
import numpy as np
import numpy.typing as npt
import pytest
import torch

from realtime.sources.demo import demo_frame, demo_portrait
from stn_icnn.checkpoint import Checkpoint, save_checkpoint
from stn_icnn.config import NetworkConfig, PartNetConfig
from stn_icnn.icnn import ICNNConfig
from stn_icnn.network import STNiCNN

Image = npt.NDArray[np.uint8]
SHARED_CLASSES = tuple(range(19))

# One for each of the processes that share the cores, and for those that they start: threads that wait for
# each other cost most of all.
torch.set_num_threads(1)
cv2.setNumThreads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")


def tiny_config(composition: str = "residual", localizer: str = "moments") -> NetworkConfig:
    """A network of every kind of part, small enough for a CPU test."""
    body = ICNNConfig((4, 6), 1, 3, 1, (3, 1), "relu", residual=True)
    parts = {name: PartNetConfig((8, 12), body) for name in ("brow", "eye", "nose", "mouth")}
    return NetworkConfig(
        name="tiny",
        classes=SHARED_CLASSES,
        input_size=64,
        coarse_size=32,
        output_size=32,
        coarse=ICNNConfig((4, 6, 8), 2, 3, 1, (3, 1), "relu", residual=True),
        part_nets=parts,
        localizer=localizer,
        composition=composition,
    )


def mouth_alone() -> NetworkConfig:
    """A network with one part: exporting takes seconds for each."""
    config = tiny_config()
    return replace(config, part_nets={"mouth": config.part_nets["mouth"]})


def head_config() -> NetworkConfig:
    """A network that sees the head: a coarse stage for that, and a face stage."""
    body = ICNNConfig((4, 6), 4, 3, 1, (3, 1), "relu", residual=True, fine=4, head_width=8)
    return replace(tiny_config(), name="tiny-head", coarse=body, face=body, features=True, centred=False)


def make_network(config: NetworkConfig, seed: int = 0) -> STNiCNN:
    """A network whose part parsers do something: their last layers are not left at zero."""
    torch.manual_seed(seed)
    network = STNiCNN(config).eval()
    for parameter in network.parameters():
        if not parameter.detach().any():
            torch.nn.init.normal_(parameter, 0.0, 0.3)
    return network


# What asks how long something takes, or how things go on beside each other, by path from tests/; single tests
# of other files are marked where they stand.
ALONE = (
    "benchmarks/test_timing_is_true.py",
    "realtime/test_faults.py",
    "realtime/test_live.py",
    "realtime/test_pipeline.py",
    "realtime/test_stream.py",
    "realtime/test_virtual.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests beside which nothing may run."""
    root = Path(__file__).parent
    for item in items:
        if item.path.relative_to(root).as_posix().startswith(ALONE):
            item.add_marker(pytest.mark.alone)


def skip_or_fail(reason: str) -> None:
    """Skip a test that lacks what can be installed; in CI, where it must be there, fail."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; .ci/run should have installed it")
    pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def _engine_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled networks of the tests stay out of the user's cache; the processes of one run share theirs."""
    shared = os.environ.get("STN_ICNN_TEST_CACHE")
    folder = Path(shared) if shared else tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engines.cache.user_folder", lambda: folder)
        if "PYTEST_XDIST_WORKER" in os.environ:
            # What asks for one thread a core shares the cores with other processes here.
            patch.setattr("engines.loader.available_cores", lambda: 1)
        yield


@pytest.fixture
def tiny_checkpoint(tmp_path: Path) -> Checkpoint:
    network = make_network(tiny_config())
    return save_checkpoint(network, network.state_dict(), tmp_path / "weights" / "tiny.safetensors")


@pytest.fixture
def mouth_checkpoint(tmp_path: Path) -> Checkpoint:
    """For what compiles a network, see `mouth_alone`."""
    network = make_network(mouth_alone())
    return save_checkpoint(network, network.state_dict(), tmp_path / "weights" / "tiny.safetensors")


@pytest.fixture(scope="session")
def portrait() -> Image:
    """(512, 512, 3) uint8 RGB: one face, its eyes near (203, 102) and (247, 103)."""
    return demo_portrait()


@pytest.fixture(scope="session")
def face_frame(portrait: Image) -> Image:
    """(720, 1280, 3) uint8 RGB: the portrait's face, large."""
    return demo_frame(portrait, 0)


VideoMaker = Callable[..., Path]


@pytest.fixture
def make_video(tmp_path: Path, portrait: Image) -> VideoMaker:
    """Return a function that writes a short video of the moving portrait."""

    def make(
        name: str = "clip.mp4",
        frames: int = 8,
        size: tuple[int, int] = (320, 240),
        times: list[int] | None = None,
        audio: bool = False,
        options: dict[str, str] | None = None,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w", options=options or {}) as container:
            stream = container.add_stream("libx264", rate=30, options={"crf": "16", "preset": "ultrafast"})
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            stream.time_base = stream.codec_context.time_base = Fraction(1, 90000)
            sound = container.add_stream("aac", rate=44100) if audio else None
            for index, pts in enumerate(times or [3000 * i for i in range(frames)]):
                image = cv2.resize(demo_frame(portrait, 10 * index), size, interpolation=cv2.INTER_AREA)
                picture = av.VideoFrame.from_ndarray(np.asarray(image, np.uint8), format="rgb24")
                picture.pts, picture.time_base = pts, Fraction(1, 90000)
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
            if sound is not None:
                tone = np.sin(np.arange(1024 * 20) * 0.06).astype(np.float32)
                for start in range(0, len(tone), 1024):
                    chunk = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], "fltp", "mono")
                    chunk.sample_rate, chunk.pts = 44100, start
                    container.mux(sound.encode(chunk))
                container.mux(sound.encode(None))
        return path

    return make


def times(path: Path) -> list[Fraction]:
    """The time of every frame of a video, seconds."""
    with av.open(str(path)) as container:
        return [Fraction(f.pts or 0) * Fraction(f.time_base or 1) for f in container.decode(video=0)]


def write_sound_alone(video: Path, path: Path) -> None:
    """Copy a video's audio into an .m4a of its own."""
    with av.open(str(video)) as source, av.open(str(path), "w", format="mp4") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)


@pytest.fixture
def face_folder(tmp_path: Path) -> Path:
    """A data folder of drawn faces: images/, labels/, train.txt, val.txt."""
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    names = [f"face{i}" for i in range(6)]
    for index, name in enumerate(names):
        image, label = drawn_face(index)
        cv2.imwrite(str(root / "images" / f"{name}.jpg"), image[..., ::-1])
        cv2.imwrite(str(root / "labels" / f"{name}.png"), label)
    (root / "train.txt").write_text("\n".join(names[:4]))
    (root / "val.txt").write_text("\n".join(names[4:]))
    return root


def drawn_face(seed: int, side: int = 128) -> tuple[Image, Image]:
    """A cartoon face where aligned faces have theirs: image (S, S, 3) and label (S, S)."""
    rng = np.random.default_rng(seed)
    label = np.zeros((side, side), np.uint8)
    x0, y0 = side / 2 + rng.normal(0, 2), side / 2 + rng.normal(0, 2)

    def blob(dx: float, dy: float, rx: float, ry: float, value: int) -> None:
        centre = (round(x0 + dx * side / 2), round(y0 + dy * side / 2))
        axes = (max(1, round(rx * side / 2)), max(1, round(ry * side / 2)))
        cv2.ellipse(label, centre, axes, 0, 0, 360, (value,), -1)

    for dx, dy, rx, ry, value in (
        (0.0, -0.15, 0.75, 0.75, 13),
        (0.0, 0.15, 0.55, 0.7, 1),
        (0.24, -0.04, 0.1, 0.05, 4),
        (-0.24, -0.04, 0.1, 0.05, 5),
        (0.25, -0.17, 0.16, 0.05, 6),
        (-0.25, -0.17, 0.16, 0.05, 7),
        (0.0, 0.16, 0.12, 0.2, 2),
        (0.0, 0.5, 0.22, 0.12, 11),
        (0.0, 0.55, 0.2, 0.08, 12),
        (0.0, 0.5, 0.12, 0.03, 10),
    ):
        blob(dx, dy, rx, ry, value)
    colours = np.random.default_rng(99).integers(0, 256, (19, 3))
    noise = rng.normal(0, 8, (side, side, 3))
    return np.clip(colours[label] + noise, 0, 255).astype(np.uint8), label
