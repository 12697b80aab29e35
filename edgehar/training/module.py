"""One training step, one validation step: the Lightning module. The averaged weights are the model."""

from __future__ import annotations

import math
from collections.abc import Callable

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from edgehar.training.config import TrainConfig

TensorList = tuple[Tensor, ...] | list[Tensor]


def _moving_average(decay: float) -> Callable[[TensorList, TensorList, Tensor | int], None]:
    """Exponential moving average whose memory grows with the steps taken, so that short runs are averaged too.

    Source: the decay ``min(decay, (1 + n) / (10 + n))`` after n updates, as TensorFlow's ExponentialMovingAverage.
    """

    @torch.no_grad()
    def update(averaged: TensorList, current: TensorList, updates: Tensor | int) -> None:
        n = int(updates)
        weight = 1 - min(decay, (1 + n) / (10 + n))
        for mean, value in zip(averaged, current, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, weight)
            else:  # batch norm's step counter
                mean.copy_(value)

    return update


class HarModule(pl.LightningModule):
    """Cross-entropy with label smoothing, AdamW, warm-up + cosine, exponential moving average of the weights."""

    def __init__(self, network: nn.Module, config: TrainConfig, total_steps: int) -> None:
        super().__init__()
        self.network = network
        # Batch norm's statistics are averaged with the weights they belong to.
        self.averaged = AveragedModel(network, multi_avg_fn=_moving_average(config.average_decay), use_buffers=True)
        self.config = config
        self.total_steps = total_steps
        self.loss = nn.CrossEntropyLoss(label_smoothing=config.label_smoothing)
        classes = len(config.labels)
        self.train_accuracy = MulticlassAccuracy(classes, average="micro")
        self.validation_accuracy = MulticlassAccuracy(classes, average="micro")
        self.validation_macro_f1 = MulticlassF1Score(classes, average="macro")

    def on_train_epoch_start(self) -> None:
        """Seed dropout by epoch, so a resumed run draws what the uninterrupted one drew."""
        torch.manual_seed(self.config.seed * 1_000_003 + self.current_epoch)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Return the loss of ``(features [B, T, F], labels [B])``, mixed in pairs.

        Source: Zhang et al., mixup: Beyond Empirical Risk Minimization, 2018.
        """
        features, labels = batch
        share, partner = 1.0, torch.arange(len(labels), device=labels.device)
        if self.config.mixup:
            share = float(torch.distributions.Beta(self.config.mixup, self.config.mixup).sample())
            partner = torch.randperm(len(labels), device=labels.device)
            features = share * features + (1 - share) * features[partner]
        logits = self.network(features)
        loss: Tensor = share * self.loss(logits, labels) + (1 - share) * self.loss(logits, labels[partner])
        self.train_accuracy(logits, labels if share >= 0.5 else labels[partner])
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        self.log("train_accuracy", self.train_accuracy, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def on_train_batch_end(self, *_: object) -> None:
        """Move the average towards the new weights."""
        self.averaged.update_parameters(self.network)

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Score the averaged weights on held-out training people."""
        features, labels = batch
        logits = self.averaged(features)
        self.validation_accuracy(logits, labels)
        self.validation_macro_f1(logits, labels)
        self.log("validation_loss", self.loss(logits, labels), on_epoch=True)
        self.log("validation_accuracy", self.validation_accuracy, on_epoch=True, prog_bar=True)
        self.log("validation_macro_f1", self.validation_macro_f1, on_epoch=True)

    def configure_optimizers(self) -> dict[str, object]:
        """AdamW with a linear warm-up and a cosine to zero, stepped every batch."""
        config = self.config
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        warmup_steps = max(1, round(config.warmup * self.total_steps))

        def factor(step: int) -> float:
            return min(1.0, (step + 1) / warmup_steps) * 0.5 * (1 + math.cos(math.pi * min(1, step / self.total_steps)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
