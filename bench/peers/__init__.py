"""The contenders by name: one small class a library. A library is imported only in the process that times it."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peers.base import Peer

# name: (module here, class, the package it needs)
PEERS = {
    "fastreg": ("fastreg_peer", "Fastreg", "fastreg"),
    "fastreg-predict": ("fastreg_peer", "FastregPredict", "fastreg"),
    "numpy": ("numpy_peer", "NumPy", "numpy"),
    "torch": ("torch_peer", "Torch", "torch"),
    "torch-compile": ("torch_peer", "TorchCompile", "torch"),
    "torch-folded": ("torch_peer", "TorchFolded", "torch"),
    "jax": ("jax_peer", "Jax", "jax"),
    "jax-scan": ("jax_peer", "JaxScan", "jax"),
    "keras": ("keras_peer", "Keras", "keras"),
    "sklearn": ("sklearn_peer", "Sklearn", "sklearn"),
    "onnxruntime": ("onnx_peer", "OnnxRuntime", "onnxruntime"),
}


def installed(name: str) -> bool:
    return importlib.util.find_spec(PEERS[name][2]) is not None


def load(name: str, threads: int) -> Peer:
    module, kind, _ = PEERS[name]
    peer: Peer = getattr(importlib.import_module(f"peers.{module}"), kind)(threads)
    return peer
