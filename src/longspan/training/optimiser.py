"""One optimiser step: clip by global norm, skip what is not finite, follow the learning-rate schedule."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

_BACK_TO_BACK_LIMIT = 25
"""After so many steps in a row without a finite gradient, more steps would not bring one."""


def one_cycle(progress: float, *, warmup: float = 0.1) -> float:
    """Return the share of the peak learning rate at `progress` in [0, 1]: a linear warm-up, then half a cosine.

    Examples
    --------
    >>> [round(one_cycle(p), 3) for p in (0.0, 0.05, 0.1, 0.55, 1.0)]
    [0.05, 0.525, 1.0, 0.5, 0.0]
    """
    if progress < warmup:
        return 0.05 + 0.95 * progress / warmup
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, (progress - warmup) / (1.0 - warmup))))


def constant(progress: float) -> float:
    """Return 1: the learning rate stays where it is."""
    return 1.0


SCHEDULES: dict[str, Callable[[float], float]] = {"one_cycle": one_cycle, "constant": constant}


@dataclass
class StepCount:
    """What became of the steps of an epoch."""

    skipped: int = 0
    norms: list[float] = field(default_factory=list)

    @property
    def taken(self) -> int:
        """Steps that moved the parameters; each left the norm of its gradient."""
        return len(self.norms)


class Optimiser:
    """AdamW over the parameters of a network, weight decay on matrices only.

    Parameters
    ----------
    network : nn.Module
        Whose parameters are moved.
    lr : float
        Peak learning rate.
    weight_decay : float
        Decoupled weight decay of parameters with two axes or more; biases and gains have none.
    clip_norm : float
        Gradients of a larger global norm are scaled down to it (Pascanu 2013, algorithm 1); infinity clips nothing.
    schedule : {"one_cycle", "constant"}
        How the learning rate moves over training.
    """

    def __init__(self, network: nn.Module, *, lr: float, weight_decay: float, clip_norm: float, schedule: str) -> None:
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        # One group, so one fused call a step: the decay of the matrices is the extra line in `step`.
        self.matrices: list[Tensor] = [p for p in self.parameters if p.dim() >= 2]
        self.adam = torch.optim.AdamW(self.parameters, lr=lr, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
        self.weight_decay = weight_decay
        self.lr = lr
        self.clip_norm = clip_norm
        self.schedule = SCHEDULES[schedule]
        self.count = StepCount()
        self._skipped_in_a_row = 0

    @property
    def diverged(self) -> bool:
        """Whether gradients have not been finite for so long that they will not be again."""
        return self._skipped_in_a_row >= _BACK_TO_BACK_LIMIT

    @property
    def has_moved(self) -> bool:
        """Whether any step was taken since the beginning."""
        return bool(self.adam.state)

    @property
    def current_lr(self) -> float:
        """The learning rate of the last step."""
        return float(self.adam.param_groups[0]["lr"])

    def step(self, loss: Tensor, progress: float) -> bool:
        """Move the parameters down the gradient of `loss`; return whether the gradient was finite.

        Parameters
        ----------
        loss : Tensor
            A scalar.
        progress : float
            How much of training is behind, in [0, 1]; sets the learning rate.
        """
        for parameter in self.parameters:
            parameter.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        gradients: list[Tensor] = [p.grad for p in self.parameters if p.grad is not None]
        norm = float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))) if gradients else 0.0
        if not math.isfinite(norm):
            self.count.skipped += 1
            self._skipped_in_a_row += 1
            return False
        if norm > self.clip_norm:
            torch._foreach_mul_(gradients, self.clip_norm / norm)
        lr = self.lr * self.schedule(progress)
        self.adam.param_groups[0]["lr"] = lr
        with torch.no_grad():
            torch._foreach_mul_(self.matrices, 1.0 - lr * self.weight_decay)
        self.adam.step()
        self.count.norms.append(norm)
        self._skipped_in_a_row = 0
        return True

    def new_epoch(self) -> StepCount:
        """Return the count of the epoch that ends, and begin a new one."""
        ended, self.count = self.count, StepCount()
        return ended
