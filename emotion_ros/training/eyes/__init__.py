"""Training and evaluation of the eye network."""
