"""Training of a classifier: data, model and loop, top to bottom.

Lightning runs the loop. It brings resumable checkpoints, averaged weights, loggers and training in several processes.
The trainer of ``transformers`` brings a second, heavier configuration of the same and no averaging of weights.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

from emotion_ros.config import TrainConfig
from emotion_ros.errors import ConfigError, DatasetError
from emotion_ros.perception.emotion.preprocess import normalise
from emotion_ros.training.checkpoints import load_checkpoint
from emotion_ros.training.classifier.architectures import ARCHITECTURES
from emotion_ros.training.classifier.augmentation import augment
from emotion_ros.training.classifier.distillation import soft_targets, teacher_probabilities
from emotion_ros.training.classifier.epoch_batches import Arrays, EpochBatches
from emotion_ros.training.classifier.pretrained import initialize
from emotion_ros.training.data.datasets import Samples, check_classes, join, read_split
from emotion_ros.training.data.readers import has
from emotion_ros.training.data.region_crop import View
from emotion_ros.training.data.unlabelled import read_unlabelled
from emotion_ros.training.plots import save_batch
from emotion_ros.training.training_loop import Result, fit, make_trainer, one_cycle, run_to_resume, writable

STATISTICS_PICTURES = 512
"""Training pictures from which the batch normalisations of a network from an ONNX file get their statistics."""

PREVIEW_PICTURES = 64
"""Augmented training pictures in ``batch.png``."""

VAL_BATCH_SIZE = 512

NO_CLASS = -1
"""Class of a face without a label."""

MIN_FREQUENCY = 1e-6
"""Frequency of a class that a data set does not have."""

CROP_MARGIN, CROP_SHIFT = 0.1, -0.05
"""Margin and shift of the crop, as shares of its side: the best of 42 pairs that ``emotion-ros measure-crop`` tried on
FER2013's val split (models/emotion_resnet18.md). ``emotion-ros export --margin --shift`` sets others."""


class Classifier(L.LightningModule):
    """A network with its labels, pixel statistics and settings; its checkpoint holds all that ``export`` needs."""

    def __init__(
        self,
        config: dict[str, Any],
        labels: Sequence[str],
        mean: Sequence[float],
        std: Sequence[float],
        sources: int = 1,
    ) -> None:
        """Create an untrained model.

        Args:
            config: fields of :class:`emotion_ros.config.TrainConfig`.
            labels: classes in the order of the output.
            mean, std: per channel, for pixel values of 0…1.
            sources: number of data sets with labels that it is trained on.
        """
        super().__init__()
        self.save_hyperparameters()
        self.config = TrainConfig(**config)
        self.labels, self.mean, self.std, self.sources = tuple(labels), tuple(mean), tuple(std), sources
        channels = 1 if self.config.color == "grey" else 3
        self.network = ARCHITECTURES[self.config.arch](len(labels), channels, self.config.size)
        # Logarithm of the frequency of each class in each data set to the power of the config's ``balance``. Zeros for
        # faces without labels, whose targets assume that all classes are equally frequent.
        self.register_buffer("adjustment", torch.zeros(sources + bool(self.config.unlabelled), len(labels)))
        self._confusion = torch.zeros(sources, len(labels), len(labels))  # not a buffer: buffers are averaged

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits, n × labels, for pixels of 0…255, n × channels × size × size."""
        values: Tensor = normalise(pixels.float(), self.mean, self.std)
        logits: Tensor = self.network(values.contiguous(memory_format=torch.channels_last))
        return logits

    def on_train_batch_start(self, *_: Any) -> None:
        """Seed each step by its number, so that a resumed run draws the random numbers of an uninterrupted one."""
        torch.manual_seed(hash((self.config.seed, self.global_step, self.global_rank)) % 2**63)

    def training_step(self, batch: tuple[Tensor, ...], _: int) -> Tensor:
        """Return the cross-entropy between logits of augmented pictures and soft targets.

        The logits are adjusted by the frequencies of the classes in the picture's data set (Menon et al., "Long-tail
        learning via logit adjustment", 2021): the network itself learns none of them.
        """
        pixels, targets, classes, sources = batch
        with torch.autocast(pixels.device.type, enabled=False):  # pictures keep 8 bits of each value
            augmented = augment(pixels.float(), self.config)
        logits = self(augmented).float()
        adjusted = logits + self.adjustment[sources]  # type: ignore[index]
        loss: Tensor = F.cross_entropy(adjusted, targets, label_smoothing=self.config.smoothing)
        labelled = classes != NO_CLASS
        accuracy = (logits.argmax(1) == classes).float().sum() / labelled.sum().clamp(min=1)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        self.log("train_accuracy", accuracy, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, ...], _: int) -> None:
        """Log loss and accuracy against the classes, on pictures without augmentation."""
        pixels, targets, classes, sources = batch
        logits = self(pixels).float()
        self.log("val_loss", F.cross_entropy(logits, targets), sync_dist=True)
        self.log("val_accuracy", (logits.argmax(1) == classes).float().mean(), sync_dist=True)
        places = (sources.cpu(), classes.cpu(), logits.argmax(1).cpu())
        self._confusion.index_put_(places, torch.ones(len(classes)), accumulate=True)

    def on_validation_epoch_end(self) -> None:
        """Log the mean recall of the classes, averaged over the data sets."""
        counts = self._confusion.sum(2)
        recalls = self._confusion.diagonal(dim1=1, dim2=2) / counts.clamp(min=1)
        means = recalls.sum(1) / (counts > 0).sum(1)
        self.log("val_recall", means.mean(), sync_dist=True)
        for number, mean in enumerate(means.tolist() if len(means) > 1 else ()):
            self.log(f"val_recall_{number + 1}", mean, sync_dist=True)
        self._confusion.zero_()

    def configure_optimizers(self) -> Any:
        """See :func:`emotion_ros.training.training_loop.one_cycle`."""
        return one_cycle(self, self.config)


def train(data: Sequence[Path], model_dir: Path, config: TrainConfig, resume: bool = False) -> Result:
    """Train on the train splits of data sets and keep the checkpoints of the best epoch and of the last.

    The best epoch is that with the highest mean recall of the classes on val, averaged over the data sets.

    Args:
        data: folders that :func:`emotion_ros.training.data.datasets.read_split` reads.
        model_dir: gets ``best.ckpt``, ``last.ckpt``, ``metrics.csv``, ``Accuracy.png``, ``Loss.png``, ``batch.png``
            (augmented training pictures) and TensorBoard's files.
        config: settings; with ``resume`` those of the run, or defaults.
        resume: continue from ``last.ckpt`` in ``model_dir`` with the settings of that run.

    Raises:
        ConfigError: Weights & Biases is requested and not installed, faces without labels have no teacher, or a
            setting is not that of the run that is resumed.
        DatasetError: the data cannot be used, or have other classes than those of the resumed run.
        ModelError: the initial weights or the checkpoint cannot be used.
        OutputError: ``model_dir`` cannot be written, has no checkpoint to resume, or has one and ``resume`` is not set.
    """
    last, _, config = run_to_resume(load, model_dir, config, resume)
    if config.unlabelled and not config.teacher:
        raise ConfigError("unlabelled: expected a teacher, whose probabilities are the targets; add --teacher")
    L.seed_everything(config.seed, verbose=False)
    sets = [_read(each, config) for each in data]
    samples, sources = join([training for training, _ in sets])
    held_out = join([validation for _, validation in sets])
    frequencies = _frequencies(samples, sources, config)
    targets = soft_targets(samples, config, frequencies[sources])
    model = _model(samples, frequencies, config, last)
    preview = augment(torch.from_numpy(samples.pixels[:PREVIEW_PICTURES]).float(), config)
    rank_zero_only(save_batch)(preview, writable(model_dir) / "batch.png")
    if config.compile:
        model.network.compile(dynamic=False)
    of_each = [f"recall_{number}" for number in range(1, len(sets) + 1)] if len(sets) > 1 else []
    trainer = make_trainer(model_dir, config, "recall", (*of_each, "accuracy", "loss"))
    arrays = samples.pixels, targets, samples.classes, sources
    if config.unlabelled:
        arrays = _with_unlabelled(*arrays, samples.labels, config)
    training = Arrays(*arrays)
    validation = Arrays(held_out[0].pixels, held_out[0].targets(0.0), held_out[0].classes, held_out[1])
    return fit(trainer, model, _loaders(training, validation, arrays[3], config), model_dir, last)


def view(config: TrainConfig) -> View:
    """Return the view of a picture that a network of this config gets."""
    return View(config.size, config.color, config.region, CROP_MARGIN, CROP_SHIFT, config.crop)


def _read(data: Path, config: TrainConfig) -> tuple[Samples, Samples]:
    samples, held_out = read_split(data, "train", view(config)), read_split(data, "val", view(config))
    check_classes(f"{data}, val", held_out.labels, samples.labels, all_of=True)
    return _without_copies(data, config, samples, held_out), held_out


def _without_copies(data: Path, config: TrainConfig, samples: Samples, held_out: Samples) -> Samples:
    """Drop training pictures that are equal to one of val or test, on which a model could be right by memory."""
    others = [held_out, *([read_split(data, "test", view(config))] if has(data, "test") else [])]
    known = {pixels.tobytes() for other in others for pixels in other.pixels}
    unique = np.array([pixels.tobytes() not in known for pixels in samples.pixels])
    if not unique.all():
        count = f"{int((~unique).sum())} of {len(unique)} pictures"
        print(f"{data}: left out {count} of train that are copies of some in val or test")
    lost = sorted(set(samples.labels) - {samples.labels[index] for index in samples.classes[unique]})
    if lost:
        raise DatasetError(
            f"{data}: expected pictures of each class in train alone, those of {', '.join(lost)} are all in val or "
            f"test too; divide the pictures with emotion-ros split"
        )
    return samples.only(unique)


def _with_unlabelled(
    pixels: NDArray[np.uint8],
    targets: NDArray[np.float32],
    classes: NDArray[np.int64],
    sources: NDArray[np.int64],
    labels: tuple[str, ...],
    config: TrainConfig,
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Return the four arrays with the faces without labels appended as one more data set."""
    faces = read_unlabelled([Path(folder) for folder in config.unlabelled.split(",")], view(config))
    print(f"{config.unlabelled}: {len(faces)} faces without labels")
    return (
        np.concatenate([pixels, faces]),
        np.concatenate([targets, teacher_probabilities(faces, labels, config)]),
        np.concatenate([classes, np.full(len(faces), NO_CLASS)]),
        np.concatenate([sources, np.full(len(faces), sources.max() + 1)]),
    )


def _frequencies(samples: Samples, sources: NDArray[np.int64], config: TrainConfig) -> NDArray[np.float32]:
    """Return the frequency of each class in each data set to the power of the config's balance, sources × labels."""
    targets = samples.targets(config.vote_weight)
    rows = [targets[sources == number].mean(0) for number in range(int(sources.max()) + 1)]
    return np.maximum(np.stack(rows), MIN_FREQUENCY) ** np.float32(config.balance)  # type: ignore[no-any-return]


def _model(samples: Samples, frequencies: NDArray[np.float32], config: TrainConfig, last: Path | None) -> Classifier:
    """Return a model with its initial weights; those of a resumed run are loaded later, by Lightning."""
    if last is not None:
        model: Classifier = load(last)
        before, now = (model.labels, model.sources), (samples.labels, len(frequencies))
        if before != now:
            was, hold = (f"{', '.join(labels)} in {sets} data sets" for labels, sets in (before, now))
            raise DatasetError(f"{last}: was trained on {was}, the data hold {hold}")
        return model.to(memory_format=torch.channels_last)  # type: ignore[no-any-return]
    mean, std = _statistics(samples)
    model = Classifier(dataclasses.asdict(config), samples.labels, mean, std, len(frequencies))
    model.adjustment[: len(frequencies)] = torch.from_numpy(frequencies).log()
    step = max(len(samples) // STATISTICS_PICTURES, 1)
    pixels = torch.from_numpy(samples.pixels[::step][:STATISTICS_PICTURES]).float()
    print(initialize(model.network, config.pretrained, config.arch, normalise(pixels, mean, std)))
    return model.to(memory_format=torch.channels_last)  # type: ignore[no-any-return]


def load(checkpoint: Path) -> Classifier:
    """Load the model of a checkpoint.

    Raises:
        ModelError: the file is missing, or is not a checkpoint of ``emotion-ros train``.
    """
    return load_checkpoint(Classifier, checkpoint, "train")


def _loaders(
    training: Arrays, validation: Arrays, sources: NDArray[np.int64], config: TrainConfig
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    options: dict[str, Any] = {"batch_size": None, "num_workers": config.workers}
    order = BatchSampler(SequentialSampler(validation), VAL_BATCH_SIZE, drop_last=False)
    return (
        DataLoader(training, sampler=EpochBatches(sources, config), **options),
        DataLoader(validation, sampler=order, **options),
    )


def _statistics(samples: Samples) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation per channel, for pixel values of 0…1."""
    channels = samples.pixels.transpose(1, 0, 2, 3).reshape(samples.pixels.shape[1], -1)
    mean = [round(float(values.mean() / 255), 4) for values in channels]
    std = [max(round(float(values.std() / 255), 4), 1e-3) for values in channels]
    return mean, std
