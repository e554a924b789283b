"""Operations and memory of an ONNX model for an input of N × C × H × W: count_operations.py MODEL N C H W."""

import sys

import numpy as np
import onnx
from onnx import numpy_helper, shape_inference


def count(path, shape):
    """Return multiply-accumulates of convolutions and matrix products, bytes of weights and of float32 activations."""
    model = onnx.load(path)
    for dimension, value in zip(model.graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
        dimension.dim_value = value
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    graph = shape_inference.infer_shapes(model, data_prop=True).graph
    weights = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    shapes = {
        value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    operations = 0
    for node in graph.node:
        if node.op_type == "Conv":
            kernel = weights[node.input[1]].shape
            operations += int(np.prod(shapes[node.output[0]]) * np.prod(kernel[1:]))
        elif node.op_type in ("Gemm", "MatMul"):
            operations += int(np.prod(weights[node.input[1]].shape) * shape[0])
    weight_bytes = sum(value.nbytes for value in weights.values())
    activation_bytes = sum(
        4 * int(np.prod(shapes[node.output[0]])) for node in graph.node if shapes.get(node.output[0])
    )
    return operations, weight_bytes, activation_bytes


if __name__ == "__main__":
    operations, weight_bytes, activation_bytes = count(sys.argv[1], [int(each) for each in sys.argv[2:6]])
    print(f"{operations / 1e6:.1f} million multiply-accumulates, {weight_bytes / 1e6:.2f} MB of weights, "
          f"{activation_bytes / 1e6:.2f} MB of activations")  # fmt: skip
