"""Export of checkpoints to model files, and quantization to int8."""
