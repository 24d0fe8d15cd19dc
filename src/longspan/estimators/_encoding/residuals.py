"""Measuring how sequences differ from their reconstruction, so that what differs more than that stands out."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from longspan.nn.steps import rows_before
from longspan.tasks import Residuals

_SHRINKAGE = 0.05
"""Share of a covariance that between channels that is taken to be chance."""

_LEAST = 1e-4
"""Least variance of a standardised residual: a channel given back without error is no reason to expect none."""

_LEAST_SPREAD = 0.1
"""Least standard deviation of a logarithm: one sequence, or several of one kind, are no reason to expect no other."""

_HIGHEST = 0.99
"""Highest correlation with the residual before."""


@dataclass
class ResidualMoments:
    """Sums over residuals, batch by batch.

    Attributes
    ----------
    size : int
        Channels, I.
    """

    size: int
    products: Tensor = field(init=False)
    lagged: Tensor = field(init=False)
    earlier: Tensor = field(init=False)
    firsts: Tensor = field(init=False)
    counts: Tensor = field(init=False)

    def __post_init__(self) -> None:
        square = (self.size, self.size)
        self.products, self.lagged, self.earlier, self.firsts = (
            torch.zeros(square, dtype=torch.float64) for _ in range(4)
        )
        self.counts = torch.zeros(2, dtype=torch.float64)

    def add(self, residuals: Tensor, batch_sizes: Tensor, weights: Tensor, seen: Tensor | None) -> None:
        """Take in packed residuals, shape (sum T_b, I), each with the weight of its sequence, shape (sum T_b, 1).

        Where a value was not seen (`seen` is 0) the residual is 0, and so is what is expected of it.
        """
        begun = int(batch_sizes[0])
        now, own = residuals.double().cpu(), weights.double().cpu()
        first, later, past = now[:begun], now[begun:], rows_before(now, batch_sizes)
        past = past if seen is None else past * seen[begun:].cpu()
        self.firsts += (own[:begun] * first).T @ first
        self.products += (own[begun:] * later).T @ later
        self.lagged += (own[begun:] * later).T @ past
        self.earlier += (own[begun:] * past).T @ past
        self.counts += torch.stack([own[:begun].sum(), own[begun:].sum()])

    def fill(self, residuals: Residuals) -> None:
        """Set what `residuals` knows from the sums: by least squares, channel by channel, then the covariances."""
        firsts, laters = self.counts.tolist()
        slope = self.lagged.diagonal() / self.earlier.diagonal().clamp(min=1e-12)
        persistence = slope.clamp(-_HIGHEST, _HIGHEST)
        moved = persistence[:, None] * self.lagged.T
        left = self.products - moved - moved.T + torch.outer(persistence, persistence) * self.earlier
        everything = (self.products + self.firsts) / (firsts + laters)
        residuals.persistence.copy_(persistence)
        residuals.innovation.copy_(_precision(left / laters if laters else everything))
        residuals.first.copy_(_precision(everything))


@dataclass
class UsualSquares:
    """Sums over what `Residuals.log_squares` says of each sequence.

    Attributes
    ----------
    sums : Tensor, shape (3, I)
        Of the weights, of the logarithms, and of their squares.
    """

    sums: Tensor

    @classmethod
    def none(cls, size: int) -> "UsualSquares":
        """Begin."""
        return cls(torch.zeros(3, size, dtype=torch.float64))

    def add(self, logarithms: Tensor, weights: Tensor) -> None:
        """Take in logarithms, shape (B, I), NaN where a channel was never seen; weights have shape (B, 1)."""
        known = logarithms.double().cpu()
        own = weights.double().cpu() * ~known.isnan()
        known = known.nan_to_num(nan=0.0)
        self.sums += torch.stack([own.sum(dim=0), (own * known).sum(dim=0), (own * known.square()).sum(dim=0)])

    def fill(self, residuals: Residuals) -> None:
        """Set mean and standard deviation."""
        weight, total, squares = self.sums
        weight = weight.clamp(min=1e-12)
        level = total / weight
        residuals.level.copy_(level)
        residuals.spread.copy_((squares / weight - level.square()).clamp(min=_LEAST_SPREAD**2).sqrt())


def _precision(covariance: Tensor) -> Tensor:
    """Return the inverse of a covariance shrunk towards its diagonal, columns over the roots of its own diagonal."""
    diagonal = covariance.diagonal().diag()
    eye = torch.eye(len(covariance), dtype=covariance.dtype)
    inverse: Tensor = torch.linalg.inv((1 - _SHRINKAGE) * covariance + _SHRINKAGE * diagonal + _LEAST * eye)
    return inverse / inverse.diagonal().sqrt()
