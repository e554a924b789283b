"""Runs models: ONNX Runtime and LiteRT sessions, execution providers, the model catalog."""
