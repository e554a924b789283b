"""Average the weights of two checkpoints of one training run: average_checkpoints.py FIRST SECOND OUT.

The mean of two points of a run often generalizes better than either (Izmailov et al., "Averaging Weights Leads to Wider
Optima and Better Generalization", 2018). OUT is a checkpoint for ``emotion-ros export`` and ``--pretrained``.
"""

import sys

import torch


def average(first, second):
    """Return the content of the first checkpoint with the mean of both checkpoints' weights."""
    weights, others = first["state_dict"], second["state_dict"]
    if {name: value.shape for name, value in weights.items()} != {name: value.shape for name, value in others.items()}:
        raise SystemExit("expected two checkpoints of one training run, got networks with different weights")
    mean = {name: (value + others[name]) / 2 for name, value in weights.items() if value.is_floating_point()}
    return {**first, "state_dict": {**weights, **mean}}


def main(first, second, out):
    """See the top of this file."""
    contents = [torch.load(path, map_location="cpu", weights_only=True) for path in (first, second)]
    torch.save(average(*contents), out)


if __name__ == "__main__":
    main(*sys.argv[1:])
