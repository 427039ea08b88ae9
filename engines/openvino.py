"""OpenVINO on the CPU: the default engine. Needs no torch: it reads a network compiled earlier."""

from __future__ import annotations

import threading

import numpy as np

from engines.engine import Crops, EngineError, EngineSpec, EngineUnavailable, Probabilities
from stn_icnn.checkpoint import Checkpoint


class OpenVinoEngine:
    """Runs NAME.xml and NAME.bin, which lie beside the weights, in fp32."""

    def __init__(self, checkpoint: Checkpoint, threads: int) -> None:
        try:
            import openvino
        except ImportError as error:
            raise EngineUnavailable(
                f"openvino is not installed ({error}); install it: pip install openvino"
            ) from None
        stem = checkpoint.path.stem
        if f"{stem}.xml" not in checkpoint.files:
            raise EngineUnavailable(
                f"no OpenVINO network beside {checkpoint.path.name}; "
                f"make it: python -m engines build --weights {checkpoint.path}"
            )
        checkpoint.verified(f"{stem}.bin")
        xml = checkpoint.verified(f"{stem}.xml")
        self.spec = EngineSpec.of(checkpoint.network)
        self._lock = threading.Lock()
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            # Without it a processor with bf16 silently computes in bf16.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        try:
            core = openvino.Core()
            compiled = core.compile_model(str(xml), "CPU", options)
            device = core.get_property("CPU", "FULL_DEVICE_NAME")
        except RuntimeError as error:
            raise EngineUnavailable(f"OpenVINO could not compile {xml}: {error}") from None
        self._request: openvino.InferRequest | None = compiled.create_infer_request()
        version = openvino.__version__.split("-")[0]
        self.description = f"OpenVINO {version} on CPU ({device}), fp32, {threads} threads"

    def infer(self, crops: Crops) -> Probabilities:
        """See `engines.engine.Engine.infer`."""
        checked = self.spec.check(crops)
        with self._lock:
            if self._request is None:
                raise EngineError("the openvino engine is closed")
            outputs = self._request.infer([checked], share_inputs=True, share_outputs=True)
            # A copy: the request reuses its output's memory.
            return np.array(outputs[0], dtype=np.float32)

    def close(self) -> None:
        """Free the network."""
        with self._lock:
            self._request = None
