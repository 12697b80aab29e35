"""One training step, one validation step: the Lightning module. The averaged weights are the model."""

from __future__ import annotations

from collections.abc import Sequence

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from edgehar.heads import UNKNOWN
from edgehar.models.heads import outputs_of, trained_outputs
from edgehar.training.config import TrainConfig
from edgehar.training.losses import weighted_loss
from edgehar.training.schedule import AVERAGES, TAIL_BEGINS, WeightAverage, warmup_cosine
from edgehar.training.teacher import Teacher, distillation_loss
from edgehar.training.triplets import triplet_loss


class HarModule(pl.LightningModule):
    """The heads' weighted loss, a teacher's where there is one, AdamW, warm-up + cosine, an average of the weights.

    The curves' accuracy and macro-F1 are those of the first head.
    """

    def __init__(self, network: nn.Module, config: TrainConfig, total_steps: int) -> None:
        super().__init__()
        self.network = network
        average = AVERAGES[config.average](config.average_decay, round(TAIL_BEGINS * total_steps))
        self.averaged = WeightAverage(network, average)
        if config.compile:
            network.compile()
        self.config = config
        self.total_steps = total_steps
        self.tasks = config.tasks
        self.answer_weights: Sequence[Tensor | None] = ()  # of each head's answers in its loss
        self.teacher: Teacher | None = None
        classes = len(self.tasks[0].labels)
        self._train_sums = torch.zeros(3)
        self.validation_accuracy = MulticlassAccuracy(classes, average="micro", ignore_index=UNKNOWN)
        self.validation_macro_f1 = MulticlassF1Score(classes, average="macro", ignore_index=UNKNOWN)

    def loss(self, outputs: tuple[Tensor, ...], truth: Tensor) -> Tensor:
        """Return the heads' weighted loss of truth ``[B, W]``, and the embedding's, whose classes come last."""
        config = self.config
        counts = [None if each is None else each.to(truth.device) for each in self.answer_weights]
        logits, answers = outputs[: len(self.tasks)], truth[:, : sum(task.columns for task in self.tasks)]
        loss = weighted_loss(self.tasks, config.weights, logits, answers, config.label_smoothing, answer_weights=counts)
        if config.embedding.width:
            triplets = triplet_loss(outputs[-1], truth[:, -1], config.embedding.margin, config.embedding.mining)
            loss = loss + config.embedding.weight * triplets
        return loss

    def on_fit_start(self) -> None:
        """Send the teacher to where the batches are."""
        if self.teacher is not None:
            self.teacher.to(self.device)

    def on_train_epoch_start(self) -> None:
        """Seed dropout by epoch, so a resumed run draws what the uninterrupted one drew; start the epoch's sums."""
        torch.manual_seed(self.config.seed * 1_000_003 + self.current_epoch)
        self._train_sums = torch.zeros(3, device=self.device)

    def training_step(self, batch: Sequence[Tensor], index: int) -> Tensor:
        """Return the loss of ``(each input [B, ...], truth [B, W])``, mixed in pairs.

        Of a late fusion it is the vote's loss and its voters' together. A teacher sees the mixed windows too.
        Source: Zhang et al., mixup: Beyond Empirical Risk Minimization, 2018.
        """
        *inputs, truth = batch
        share, partner = 1.0, torch.arange(len(truth), device=truth.device)
        if self.config.mixup:
            share = float(torch.distributions.Beta(self.config.mixup, self.config.mixup).sample())
            partner = torch.randperm(len(truth), device=truth.device)
            inputs = [share * x + (1 - share) * x[partner] for x in inputs]
        every = trained_outputs(self.network, *inputs)
        losses = [share * self.loss(one, truth) + (1 - share) * self.loss(one, truth[partner]) for one in every]
        if self.teacher is not None:
            settings, taught = self.config.teacher, self.teacher.logits(inputs)
            for i, (logits,) in enumerate(every):
                distilled = distillation_loss(logits, taught, settings.temperature)
                losses[i] = (1 - settings.weight) * losses[i] + settings.weight * distilled
        loss = torch.stack(losses).sum()
        logits = every[0][0].detach()
        self._keep_score(loss.detach(), logits, (truth if share >= 0.5 else truth[partner])[:, 0], index)
        return loss

    def _keep_score(self, loss: Tensor, logits: Tensor, truth: Tensor, index: int) -> None:
        """Add a batch to the epoch's sums; log them with its last batch. Lightning's own sums took 2 ms a batch."""
        known = truth != UNKNOWN
        right = (logits.argmax(dim=1) == truth) & known
        self._train_sums += torch.stack([loss, right.sum().float(), known.sum().float()])
        if index + 1 == self.trainer.num_training_batches:
            total, hits, answers = self._train_sums.unbind()
            self.log("train_loss", total / (index + 1), on_step=False, on_epoch=True)
            self.log("train_accuracy", hits / answers.clamp(min=1), on_step=False, on_epoch=True, prog_bar=True)

    def on_train_batch_end(self, *_: object) -> None:
        """Move the average towards the new weights."""
        self.averaged.update_parameters(self.network)

    def validation_step(self, batch: Sequence[Tensor], _: int) -> None:
        """Score the averaged weights on held-out training people."""
        *inputs, truth = batch
        outputs = outputs_of(self.averaged, *inputs)
        self.validation_accuracy(outputs[0], truth[:, 0])
        self.validation_macro_f1(outputs[0], truth[:, 0])
        self.log("validation_loss", self.loss(outputs, truth), on_epoch=True)
        self.log("validation_accuracy", self.validation_accuracy, on_epoch=True, prog_bar=True)
        self.log("validation_macro_f1", self.validation_macro_f1, on_epoch=True)

    def configure_optimizers(self) -> dict[str, object]:
        """AdamW with a linear warm-up and a cosine to zero, stepped every batch."""
        config = self.config
        optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            foreach=True,  # on a CPU the bits of the plain loop, a third faster; fused gives others
        )
        hold = TAIL_BEGINS if config.average == "tail" else 1.0
        factor = warmup_cosine(self.total_steps, config.warmup, hold)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
