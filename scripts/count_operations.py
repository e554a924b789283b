"""What an ONNX model computes and holds for an input of N × C × H × W: count_operations.py MODEL N C H W."""

import sys

import numpy as np
import onnx
from onnx import numpy_helper, shape_inference


def count(path, shape):
    """Multiply-accumulates of convolutions and matrix products, bytes of weights and of activations (float32)."""
    model = onnx.load(path)
    for dimension, value in zip(model.graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
        dimension.dim_value = value
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    graph = shape_inference.infer_shapes(model, data_prop=True).graph
    weights = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    shapes = {
        each.name: [dimension.dim_value for dimension in each.type.tensor_type.shape.dim]
        for each in (*graph.input, *graph.value_info, *graph.output)
    }
    operations = 0
    for node in graph.node:
        if node.op_type == "Conv":
            kernel = weights[node.input[1]].shape
            operations += int(np.prod(shapes[node.output[0]]) * np.prod(kernel[1:]))
        elif node.op_type in ("Gemm", "MatMul"):
            operations += int(np.prod(weights[node.input[1]].shape) * shape[0])
    held = sum(each.nbytes for each in weights.values())
    moved = sum(4 * int(np.prod(shapes[node.output[0]])) for node in graph.node if shapes.get(node.output[0]))
    return operations, held, moved


if __name__ == "__main__":
    operations, held, moved = count(sys.argv[1], [int(each) for each in sys.argv[2:6]])
    print(f"{operations / 1e6:.1f} million multiply-accumulates, {held / 1e6:.2f} MB of weights, "
          f"{moved / 1e6:.2f} MB of activations written")  # fmt: skip
