from __future__ import annotations

from pathlib import Path

import pytest

from engines.engine import EngineUnavailable
from engines.tflite import open_tflite


@pytest.mark.parametrize("damaged", [False, True])
def test_a_network_that_cannot_be_read_is_one_line(tmp_path: Path, damaged: bool) -> None:
    path = tmp_path / "a.tflite"
    if damaged:
        path.write_bytes(b"TFL3 and then nothing")
    with pytest.raises(EngineUnavailable, match="could not compile") as caught:
        open_tflite(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
