"""``emotion-ros quantize``: writes an int8 copy of an ONNX model."""

from __future__ import annotations

import argparse
from pathlib import Path

from emotion_ros.cli.arguments import add_crop_argument, named_data
from emotion_ros.cli.extras import requires_training
from emotion_ros.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("model", type=Path, help="ONNX file in float32")
    parser.add_argument("data", type=Path, nargs="+", metavar="DATA", help="the training data, PATH or NAME=PATH")
    parser.add_argument("output", type=Path, help="the new ONNX file")
    parser.add_argument(
        "--kind", default="static", choices=("static", "dynamic"), help="dynamic suits transformers (default: static)"
    )
    parser.add_argument(
        "--max-drop", type=float, default=1.0, help="accepted loss of val accuracy in percentage points (default: 1)"
    )
    add_crop_argument(parser)


@requires_training
def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if parsed.output.suffix.lower() != ".onnx" or parsed.output.resolve() == parsed.model.resolve():
        raise ConfigError(f"quantize: expected another file that ends in .onnx for the int8 copy, got {parsed.output}")
    from emotion_ros.training.export.quantization import quantize

    result = quantize(parsed.model, named_data(parsed.data), parsed.output, parsed.kind, parsed.max_drop, parsed.crop)
    print("                   before      after")
    print(f"size, MB       {result.size[0] / 1e6:10.2f} {result.size[1] / 1e6:10.2f}")
    for name, (before, after) in result.accuracy.items():
        print(f"{f'val, {name}':14} {before:10.4f} {after:10.4f}")
    print(f"ms a picture   {result.milliseconds[0]:10.2f} {result.milliseconds[1]:10.2f}")
    print(f"written: {parsed.output}")
    return 0
