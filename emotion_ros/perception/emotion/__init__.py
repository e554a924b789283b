"""From face crops to probabilities: the model contract, preprocessing, and the ONNX Runtime session."""
