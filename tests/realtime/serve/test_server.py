"""The server with visitors that are no browser: frames, controls, limits, and what it refuses."""

from __future__ import annotations

import asyncio
import datetime
import gc
import ipaddress
import os
import random
import signal
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from engines import Engine
from realtime.errors import RealtimeError, UsageError
from realtime.faces.detector import FaceDetector
from realtime.serve import peer
from realtime.serve.options import ServeOptions
from realtime.serve.room import Room
from realtime.serve.server import PAGES, Server
from tests.realtime.serve.clients import Client, emptied, serving
from tests.realtime.standin import NoFaces

ROOT = Path(__file__).parents[3]
TOKEN = "correct-horse-battery"


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name in ("capture", "parse", "render")}


def sockets() -> int:
    gc.collect()
    return sum(1 for item in Path("/proc/self/fd").iterdir() if _is_socket(item))


def _is_socket(item: Path) -> bool:
    try:
        return os.readlink(item).startswith("socket:")
    except OSError:
        return False


def test_frames_come_back_as_asked_for() -> None:
    async def run() -> None:
        async with serving() as (server, address, http):
            client = Client()
            assert (await client.enter(http, address))[0] == 200
            await client.open.wait()
            assert (await client.see()).shape == (120, 160, 3)
            await client.see_until(mirrored=False)
            client.channel.send('{"mirror": true}')
            await client.see_until(mirrored=True)
            assert await client.hear("fps") >= 0
            await client.close()
            await emptied(server)
        assert not threads()

    asyncio.run(run())


def test_bad_messages_are_answered_and_frames_go_on() -> None:
    async def run() -> None:
        async with serving() as (_, address, http):
            client = Client()
            await client.enter(http, address)
            await client.open.wait()
            client.channel.send('{"effects": ["background:fill=/etc/passwd"]}')
            assert "#rrggbb" in await client.hear("error")
            for text in ("", "[" * 5000, b"\x00\xff", "{}x"):
                client.channel.send(text)
            client.channel.send('{"mirror": true}')
            await client.see_until(mirrored=True)
            await client.close()

    asyncio.run(run())


def test_a_place_too_few_is_told_and_is_free_again_when_one_leaves() -> None:
    async def run() -> None:
        async with serving(places=2) as (server, address, http):
            first, second, third = Client(), Client(), Client()
            for client in (first, second):
                assert (await client.enter(http, address))[0] == 200
            for client in (first, second):
                await client.see()
            status, content = await third.enter(http, address)
            assert (status, content) == (503, {"error": "all 2 places are taken"})
            await first.close()
            while server.visitors > 1:
                await asyncio.sleep(0.02)
            fourth = Client()
            assert (await fourth.enter(http, address))[0] == 200
            await fourth.see()
            await second.see()
            for client in (second, third, fourth):
                await client.close()

    asyncio.run(run())


def test_offers_at_once_never_get_more_places_than_there_are() -> None:
    async def run() -> None:
        async with serving(places=1) as (server, address, http):
            clients = [Client() for _ in range(4)]
            answers = await asyncio.gather(*(client.enter(http, address) for client in clients))
            assert sorted(status for status, _ in answers) == [200, 503, 503, 503]
            assert server.visitors == 1
            await asyncio.gather(*(client.close() for client in clients))

    asyncio.run(run())


def test_who_never_connects_gives_the_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "CONNECT_SECONDS", 0.2)

    async def run() -> None:
        async with serving() as (server, address, http):
            client = Client()
            async with http.post(f"{address}offer", json=await client.offer()) as answer:
                assert answer.status == 200
            await emptied(server)
            await client.close()

    asyncio.run(run())


def test_200_broken_offers_leave_nothing_behind() -> None:
    rng = random.Random(5)

    async def run() -> None:
        async with serving() as (server, address, http):
            client = Client()
            good = (await client.offer())["sdp"]
            async with http.get(address):  # whose connection is kept
                pass
            before = sockets()
            for _ in range(200):
                async with http.post(
                    f"{address}offer", data=_broken(good, rng), headers={"Content-Type": "application/json"}
                ) as answer:
                    assert answer.status in (200, 400, 413, 503), await answer.text()
                    if answer.status == 200:
                        # Broken where it doesn't matter yet: such a visitor never connects.
                        for visitor in server._visitors:
                            visitor.leave()
            await emptied(server)
            for _ in range(100):
                if sockets() <= before:
                    break
                await asyncio.sleep(0.05)
            assert sockets() <= before
            assert (await client.enter(http, address))[0] == 200
            await client.see()
            await client.close()

    asyncio.run(run())


def _broken(good: str, rng: random.Random) -> bytes:
    """Return the body of an offer with something wrong."""
    lines = good.splitlines()
    match rng.randrange(6):
        case 0:
            return rng.randbytes(rng.randrange(2000))
        case 1:
            rng.shuffle(lines)
        case 2:
            del lines[rng.randrange(len(lines)) :]
        case 3:
            lines = [line for line in lines if rng.random() < 0.8]
        case 4:
            place = rng.randrange(len(lines))
            lines[place] = "".join(rng.choice("amv=:0 9/x") for _ in lines[place])
        case 5:
            lines *= rng.randrange(2, 40)
    text = "\\r\\n".join(lines).replace('"', "")
    kind = rng.choice(["offer", "offer", "offer", "answer", "rollback"])
    return f'{{"type": "{kind}", "sdp": "{text}\\r\\n"}}'.encode()


def test_a_stage_that_fails_ends_one_visit_and_no_other() -> None:
    class Failing(NoFaces):
        made = 0

        def __init__(self) -> None:
            Failing.made += 1
            self.bad = Failing.made == 2

        def detect(self, image: object) -> list[object]:
            if self.bad:
                raise RuntimeError("broken")
            return []

    async def run() -> None:
        async with serving(detector=Failing) as (server, address, http):
            first, second = Client(), Client()
            await first.enter(http, address)
            await first.see()
            await second.enter(http, address)
            while server.visitors > 1:
                await asyncio.sleep(0.02)
            await first.see()
            assert server.visitors == 1
            await first.close()
            await second.close()

    asyncio.run(run())


def test_the_page_and_its_headers() -> None:
    async def run() -> None:
        async with serving() as (_, address, http):
            for path in PAGES:
                async with http.get(address + path[1:]) as answer:
                    assert answer.status == 200
                    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                    assert "://" not in (await answer.text()).replace("http://www.w3.org/2000/svg", "")
            for path in ("missing", "../server.py", "%2e%2e/server.py", "static/app.js", "offer"):
                async with http.get(address + path) as answer:
                    assert answer.status in (404, 405)
                    assert "error" in await answer.json()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "attacker.example"}, 403),
        ({"Host": "127.0.0.1.attacker.example:8460"}, 403),
        ({"Origin": "https://attacker.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Host": "localhost:1", "Origin": "http://localhost:1"}, 400),
    ],
)
def test_other_sites_ask_in_vain(headers: dict[str, str], status: int) -> None:
    async def run() -> None:
        async with serving() as (server, address, http):
            given = {"Content-Type": "application/json", **headers}
            async with http.post(f"{address}offer", data=b"{}", headers=given) as answer:
                assert answer.status == status
                assert "error" in await answer.json()
            assert server.visitors == 0

    asyncio.run(run())


def test_a_link_may_lead_here_but_no_other_page_may_embed_or_fetch_it() -> None:
    async def run() -> None:
        async with serving() as (_, address, http):
            for mode, status in (("navigate", 200), ("no-cors", 403), ("cors", 403)):
                headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": mode}
                async with http.get(address, headers=headers) as answer:
                    assert answer.status == status

    asyncio.run(run())


def test_nothing_but_the_page_is_had_without_the_token() -> None:
    async def run() -> None:
        async with serving(token=TOKEN) as (server, address, http):
            client = Client()
            offer = await client.offer()
            for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer \u00e9"}):
                async with http.post(f"{address}offer", json=offer, headers=given) as answer:
                    assert answer.status == 401
                async with http.get(f"{address}catalogue", headers=given) as answer:
                    assert answer.status == 401
            assert server.visitors == 0
            async with http.get(address) as answer:
                assert answer.status == 200
            right = {"Authorization": f"Bearer {TOKEN}"}
            async with http.post(f"{address}offer", json=offer, headers=right) as answer:
                assert answer.status == 200
            await client.close()

    asyncio.run(run())


def test_a_photo_is_read_in_memory_and_a_bad_one_is_told() -> None:
    async def run() -> None:
        async with serving(token=TOKEN) as (_, address, http):
            right = {"Authorization": f"Bearer {TOKEN}"}
            wall = bytes(4 * 40 * 30)
            for query, body, headers, status, told in (
                ("width=40&height=30", wall, {}, 401, "a token is needed"),
                ("width=40", wall, right, 400, "a width and a height"),
                ("width=-4&height=30", wall, right, 400, "a width and a height"),
                ("width=9000&height=9000", wall, right, 400, "at most"),
                ("width=40&height=30", wall[1:], right, 400, "4800 bytes of RGBA"),
                ("width=40&height=30", wall + b"0", right, 400, "4800 bytes of RGBA"),
                ("width=40&height=30", wall, right, 422, "no face is found in it"),
            ):
                async with http.post(f"{address}like?{query}", data=body, headers=headers) as answer:
                    assert answer.status == status
                    assert told in (await answer.json())["error"]

    asyncio.run(run())


def _certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    paths = folder / "cert.pem", folder / "key.pem"
    plain = serialization.NoEncryption()
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    return paths


def test_over_tls(tmp_path: Path) -> None:
    cert, key = _certificate(tmp_path)
    trusting = ssl.create_default_context(cafile=str(cert))

    async def run() -> None:
        async with serving(tls=(cert, key)) as (_, address, http):
            assert address.startswith("https://")
            async with http.get(f"{address}catalogue", ssl=trusting) as answer:
                assert answer.status == 200
            plain = {"Origin": address.replace("https", "http").strip("/")}
            async with http.get(f"{address}catalogue", ssl=trusting, headers=plain) as answer:
                assert answer.status == 403

    asyncio.run(run())


def test_files_that_are_no_certificate_and_a_port_in_use_are_told(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("nonsense")

    async def run() -> None:
        with pytest.raises(UsageError, match="not a certificate with its key"):
            async with serving(tls=(key, key)):
                pass
        async with serving() as (_, address, _http):
            port = int(address.strip("/").rsplit(":", 1)[1])
            room = Room(cast(Engine, NoFaces()), cast("type[FaceDetector]", NoFaces), (), 1)
            with pytest.raises(RealtimeError, match="cannot be listened on"):
                await Server(ServeOptions("127.0.0.1", port), room).open()
            room.close()

    asyncio.run(run())


def test_it_runs_without_torch_and_ctrl_c_ends_it() -> None:
    code = "import sys; sys.modules['torch'] = None; from run_webcam import main; "
    code += "sys.exit(main(['--serve', '127.0.0.1:0']))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("serving http://127.0.0.1:")
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
            assert process.stderr is not None
            assert [line[:7] for line in process.stderr] == ["engine:"], "no chatter"
        finally:
            process.kill()
