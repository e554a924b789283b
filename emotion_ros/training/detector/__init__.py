"""A face detector of our own: data, network, training, evaluation."""
