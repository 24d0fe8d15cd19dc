"""Dropout for sequences."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout
from torch.nn.utils.rnn import PackedSequence

from longspan.errors import ShapeError
from longspan.nn._layout import Input
from longspan.nn._recurrent import check_probability
from longspan.ops import row_index


class VariationalDropout(nn.Module):
    """Dropout with one mask for all steps of a sequence.

    Parameters
    ----------
    p : float
        Probability of dropping a feature; what is kept is scaled by ``1 / (1 - p)``. In evaluation
        nothing is dropped.
    batch_first : bool
        Whether tensors are (B, T, features) and not (T, B, features).

    References
    ----------
    Gal & Ghahramani 2016, "A theoretically grounded application of dropout in recurrent neural networks".

    Examples
    --------
    >>> dropped = VariationalDropout(0.5)(torch.ones(7, 2, 4))
    >>> bool((dropped == dropped[0]).all())
    True
    """

    def __init__(self, p: float, *, batch_first: bool = False) -> None:
        super().__init__()
        check_probability("p", p)
        self.p = p
        self.batch_first = batch_first

    def forward(self, input: Input) -> Input:
        """Drop features of a batch.

        Parameters
        ----------
        input : Tensor or PackedSequence
            (T, B, features), with `batch_first` (B, T, features), or packed.

        Returns
        -------
        Tensor or PackedSequence
            The same, with one mask for all steps of a sequence.

        Raises
        ------
        ShapeError
            A tensor without a batch axis.
        """
        if not self.p or not self.training:
            return input
        if isinstance(input, PackedSequence):
            return self._drop_packed(input)
        if input.dim() != 3:
            raise ShapeError(
                f"the input has {input.dim()} axes, shape {tuple(input.shape)}; expected 3.\n"
                f"  Give a single sequence a batch axis: input.unsqueeze({0 if self.batch_first else 1})."
            )
        mask = torch.ones_like(input[:, :1] if self.batch_first else input[:1])
        return input * dropout(mask, self.p)

    def _drop_packed(self, input: PackedSequence) -> PackedSequence:
        rows = input.data
        mask = dropout(torch.ones_like(rows[: int(input.batch_sizes[0])]), self.p)
        sequence = row_index(input.batch_sizes).sequence.to(rows.device)
        dropped: Tensor = rows * mask.index_select(0, sequence)
        return input._replace(data=dropped)

    def extra_repr(self) -> str:
        """Arguments that differ from their defaults."""
        return f"p={self.p}" + (", batch_first=True" if self.batch_first else "")
