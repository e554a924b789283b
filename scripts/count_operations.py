"""Count the operations and bytes of an ONNX model for an input of N × C × H × W: count_operations.py MODEL N C H W."""

import sys

import numpy as np
import onnx
from onnx import numpy_helper, shape_inference

BYTES_PER_VALUE = 4
"""Size of a float32 value."""


def count(path, shape):
    """Count the operations and bytes of one run of a model.

    Args:
        path: the ONNX file.
        shape: N, C, H, W of the first input.

    Returns:
        Multiply-accumulates of convolutions and matrix products; bytes of the weights as stored; bytes of the
        activations as float32.
    """
    graph = _graph_with_shapes(path, shape)
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    shapes = {
        value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    operations = sum(_multiply_accumulates(node, weights, shapes, shape[0]) for node in graph.node)
    weight_bytes = sum(tensor.nbytes for tensor in weights.values())
    outputs = (shapes.get(node.output[0]) for node in graph.node)
    activation_bytes = sum(BYTES_PER_VALUE * int(np.prod(sizes)) for sizes in outputs if sizes)
    return operations, weight_bytes, activation_bytes


def _graph_with_shapes(path, shape):
    model = onnx.load(path)
    for dimension, value in zip(model.graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
        dimension.dim_value = value
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    return shape_inference.infer_shapes(model, data_prop=True).graph


def _multiply_accumulates(node, weights, shapes, batch):
    if node.op_type == "Conv":
        return int(np.prod(shapes[node.output[0]]) * np.prod(weights[node.input[1]].shape[1:]))
    if node.op_type in ("Gemm", "MatMul"):
        return int(np.prod(weights[node.input[1]].shape) * batch)
    return 0


if __name__ == "__main__":
    operations, weight_bytes, activation_bytes = count(sys.argv[1], [int(argument) for argument in sys.argv[2:6]])
    print(
        f"{operations / 1e6:.1f} million multiply-accumulates, {weight_bytes / 1e6:.2f} MB of weights, "
        f"{activation_bytes / 1e6:.2f} MB of activations written"
    )
