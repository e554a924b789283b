"""The pipeline behind HTTP."""
