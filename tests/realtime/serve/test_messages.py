"""What the page may say, where it may be served, and what it is offered."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.app.config import RunConfig
from realtime.effects import EFFECTS, parse_effect
from realtime.effects.background import Background
from realtime.effects.lips import Lips
from realtime.errors import UsageError
from realtime.serve.catalogue import catalogue
from realtime.serve.messages import MOST_CANDIDATES, Wish, read_offer, read_wish
from realtime.serve.options import read_address
from run_webcam import main

VIDEO, DATA = (
    "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n",
)


def test_a_look_is_read() -> None:
    text = '{"effects": ["lips:strength=0.4", "background:fill=#102030"], "mirror": true, "split": 0.5}'
    assert read_wish(text) == Wish((Lips(strength=0.4), Background("#102030")), True, 0.5)
    assert read_wish("{}") == Wish()


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        "",
        "[]",
        "nonsense",
        "[" * 7000,
        '{"effects": "lips"}',
        '{"effects": [1]}',
        '{"effects": ["lips:strength=nan"]}',
        '{"effects": ["moustache"]}',
        json.dumps({"effects": ["lips"] * 21}),
        json.dumps({"effects": ["lips:" + "," * 300]}),
        '{"split": 2}',
        '{"split": NaN}',
        '{"split": true}',
        '{"mirror": 1}',
        '{"shell": "ls"}',
        '{"mirror": true' + " " * 9000 + "}",
    ],
)
def test_anything_else_is_refused_in_words(text: object) -> None:
    with pytest.raises(UsageError):
        read_wish(text)


def test_a_page_can_name_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = tmp_path / "room.png"
    cv2.imwrite(str(picture), np.zeros((4, 4, 3), np.uint8))
    text = f"background:fill={picture}"
    assert parse_effect(text) == Background(str(picture))
    monkeypatch.setattr("realtime.effects.background._read", lambda _: pytest.fail("a file was opened"))
    for twice in (text, f"background:fill=blur,fill={picture}", "background:fill=/etc/passwd"):
        with pytest.raises(UsageError):
            read_wish(json.dumps({"effects": [twice]}))
    assert read_wish('{"effects": ["background:fill=blur"]}').effects == (Background(),)


def test_an_offer_has_one_video_and_a_channel_at_most() -> None:
    def offer(sdp: object) -> str:
        return json.dumps({"type": "offer", "sdp": sdp})

    for good in (VIDEO, VIDEO + DATA):
        assert read_offer(offer(good)) == good
    many = VIDEO + "a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n" * (MOST_CANDIDATES + 1)
    for bad in ("", VIDEO * 2, DATA, VIDEO + "m=audio 9 X 0\r\n", many, 7, "x" * 40_000):
        with pytest.raises(UsageError):
            read_offer(offer(bad))


def test_the_catalogue_holds_every_effect_as_the_parser_reads_it() -> None:
    offered = catalogue([Lips()])
    assert [item["name"] for item in offered["effects"]] == list(EFFECTS)
    for item in offered["effects"]:
        options = ",".join(f"{option['name']}={option['default']}" for option in item["options"])
        assert parse_effect(f"{item['name']}:{options}") == EFFECTS[item["name"]]()
    assert offered["start"] == ["lips:color=#b3123f,strength=0.7,gloss=0.4,cover=0,contrast=none"]
    json.dumps(offered)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("8000", ("127.0.0.1", 8000)),
        (":8000", ("127.0.0.1", 8000)),
        ("localhost", ("localhost", 8460)),
        ("[::1]:9", ("::1", 9)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert read_address(text) == address


@pytest.mark.parametrize(
    "flags",
    [
        ["--serve", "0.0.0.0:80"],
        ["--serve", "0.0.0.0:80", "--token", "short"],
        ["--serve", "192.168.1.2"],
        ["--serve", "a b"],
        ["--serve", "1:2:3"],
        ["--serve", "127.0.0.1:70000"],
        ["--serve", "--tls-cert", "missing.pem"],
        ["--serve", "--tls-cert", "missing.pem", "--tls-key", "missing.pem"],
        ["--serve", "--max-visitors", "0"],
        ["--serve", "--output", "x.mp4"],
        ["--serve", "--source", "demo"],
        ["--token", "a-token-without-a-page"],
    ],
)
def test_what_makes_no_sense_ends_with_2(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(flags) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_other_hosts_are_served_with_a_token() -> None:
    options = RunConfig(serve="0.0.0.0:8460", token="a-long-enough-token").serving
    assert options is not None
    assert not options.local


def test_what_is_missing_is_told_with_its_install_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "realtime.serve.server", None)
    assert main(["--serve"]) == 2
    assert "pip install '.[serve]'" in capsys.readouterr().err
