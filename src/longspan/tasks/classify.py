"""Classification: a label for each sequence, or for each step."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from longspan.tasks.task import Task, weighted_mean, weighted_sums


class Classification(Task):
    """Choose one of C classes.

    Parameters
    ----------
    network : nn.Module
        Gives logits of shape (B, C), or (sum T_b, C) where each step is classified.
    class_weight : Tensor, shape (C,), optional
        Multiplies the loss of each target by the weight of its class.
    label_smoothing : float
        Share of the probability that training asks to be spread over all classes; metrics are free of it.
    temperature : float
        Divides the logits where they are read as probabilities; above 1 these are less sure than the network, below 1
        surer. Loss and metrics are free of it.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        class_weight: Tensor | None = None,
        label_smoothing: float = 0.0,
        temperature: float = 1.0,
    ) -> None:
        super().__init__(network)
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.temperature = temperature

    def loss(self, inputs: PackedSequence, targets: Tensor, weights: Tensor | None) -> Tensor:
        """Return the mean cross-entropy in nats."""
        logits = self.network(inputs)
        weights = self._with_class_weight(targets, weights)
        wanted = self._smoothed(targets, logits) if self.label_smoothing else targets
        if weights is None:
            return F.cross_entropy(logits, wanted)
        return weighted_mean(F.cross_entropy(logits, wanted, reduction="none"), weights)

    def metrics(self, inputs: PackedSequence, targets: Tensor, weights: Tensor | None) -> dict[str, Tensor]:
        """Return weighted sums: cross-entropy, and how many were right (``"accuracy"``)."""
        logits = self.network(inputs)
        weights = self._with_class_weight(targets, weights)
        losses = F.cross_entropy(logits, targets, reduction="none")
        right = (logits.argmax(dim=-1) == targets).to(losses.dtype)
        return weighted_sums(weights, loss=losses, accuracy=right)

    def read(self, outputs: Tensor) -> Tensor:
        """Turn logits into probabilities, shape (..., C)."""
        return (outputs.cpu().double() / self.temperature).softmax(dim=-1)

    def _smoothed(self, targets: Tensor, logits: Tensor) -> Tensor:
        """Return targets as probabilities, which torch takes with half the work of its own smoothing."""
        even = self.label_smoothing / logits.shape[-1]
        # Rounded to half precision they would not sum to one.
        smoothed = torch.full_like(logits, even, dtype=torch.promote_types(logits.dtype, torch.float32))
        return smoothed.scatter_(-1, targets.unsqueeze(-1), 1.0 - self.label_smoothing + even)

    def _with_class_weight(self, targets: Tensor, weights: Tensor | None) -> Tensor | None:
        if self.class_weight is None:
            return weights
        own = self.class_weight[targets]
        return own if weights is None else weights * own
