"""From a checkpoint to a model file, and from float32 to int8."""
