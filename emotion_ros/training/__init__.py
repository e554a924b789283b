"""Data sets, training, evaluation and export of models. The only room that imports torch."""

import logging
import warnings

# Hides warnings of libraries about their own internals: a user of this package cannot act on them.
for _name in ("torchao", "torch.utils._pytree", "litert_torch"):
    logging.getLogger(_name).setLevel(logging.ERROR)
warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
warnings.filterwarnings("ignore", ".*treespec", DeprecationWarning)
warnings.filterwarnings("ignore", ".*treespec", FutureWarning)
