"""ONNX Runtime: the graph of Gemm and Relu nodes, with batch normalisation folded beforehand."""

from __future__ import annotations

from typing import ClassVar

import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from workloads import Floats, Layer, Network, folded

from peers.base import Peer, Prediction


def graph(net: Network, plain: list[Layer]) -> bytes:
    nodes, constants, h = [], [], "x"
    for index, layer in enumerate(plain):
        names = f"kernel{index}", f"bias{index}"
        arrays = zip((layer.kernel, layer.bias), names, strict=True)
        constants += [numpy_helper.from_array(array, name) for array, name in arrays]
        nodes.append(helper.make_node("Gemm", [h, *names], [f"z{index}"]))
        h = f"z{index}"
        if index + 1 < len(plain):
            nodes.append(helper.make_node("Relu", [h], [f"a{index}"]))
            h = f"a{index}"
    nodes.append(helper.make_node("Sigmoid" if net.binary else "Softmax", [h], ["y"]))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", net.sizes[0]])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", net.sizes[-1]])]
    network = helper.make_graph(nodes, "network", inputs, outputs, constants)
    model = helper.make_model(network, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    made: bytes = model.SerializeToString()
    return made


class OnnxRuntime(Peer):
    label, package = "ONNX Runtime", "onnxruntime"
    notes: ClassVar = {"predict": "batch normalisation folded"}

    def version(self) -> str:
        return f"ONNX Runtime {onnxruntime.__version__}"

    def predictor(self, net: Network, weights: list[Layer], x: Floats) -> Prediction:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        session = onnxruntime.InferenceSession(graph(net, folded(net, weights)), options, ["CPUExecutionProvider"])
        run, names = session.run, ["y"]
        return Prediction(lambda rows: run(names, {"x": rows})[0], x)
