"""From labelled pictures to a model: data sets, training, evaluation, export. The only room that imports torch."""

import logging
import warnings

# What libraries tell their developers is noise to the people who train with them.
for _name in ("torchao", "torch.utils._pytree", "litert_torch"):
    logging.getLogger(_name).setLevel(logging.ERROR)
logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
warnings.filterwarnings("ignore", ".*treespec", DeprecationWarning)
warnings.filterwarnings("ignore", ".*treespec", FutureWarning)
