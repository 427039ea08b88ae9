from __future__ import annotations

import threading

import pytest

from realtime.frames.channel import Channel, Closed

pytestmark = pytest.mark.timeout(10)


def test_order_is_kept_and_close_lets_the_rest_out() -> None:
    channel: Channel[int] = Channel(3)
    for item in (1, 2, 3):
        channel.put(item)
    channel.close()
    assert [channel.get(), channel.get(), channel.get()] == [1, 2, 3]
    with pytest.raises(Closed):
        channel.get()


def test_a_full_channel_that_drops_forgets_the_oldest_and_counts() -> None:
    channel: Channel[int] = Channel(2, drop_oldest=True)
    for item in range(5):
        channel.put(item)
    assert channel.dropped == 3
    assert [channel.get(), channel.get()] == [3, 4]


def test_a_full_channel_blocks_its_writer_until_there_is_room() -> None:
    channel: Channel[int] = Channel(1)
    channel.put(0)
    done = threading.Event()

    def write() -> None:
        channel.put(1)
        done.set()

    threading.Thread(target=write, daemon=True).start()
    assert not done.wait(0.1)
    assert channel.get() == 0
    assert done.wait(5)
    assert channel.get() == 1
    assert channel.dropped == 0


@pytest.mark.parametrize("action", ["get", "put"])
def test_cancel_wakes_whoever_waits(action: str) -> None:
    channel: Channel[int] = Channel(1)
    if action == "put":
        channel.put(0)
    ended: list[type[BaseException]] = []

    def wait() -> None:
        try:
            _ = channel.get() if action == "get" else channel.put(1)  # type: ignore[func-returns-value]
        except Closed as error:
            ended.append(type(error))

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    channel.cancel()
    thread.join(5)
    assert ended == [Closed]


def test_waiting_has_a_limit() -> None:
    with pytest.raises(TimeoutError):
        Channel[int](1).get(timeout=0.01)


def test_a_channel_holds_at_least_one() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Channel(0)
