"""ONNX Runtime, for whatever model this package runs."""
