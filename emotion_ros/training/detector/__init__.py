"""The face detector of this package: data, network, training, evaluation, export."""
