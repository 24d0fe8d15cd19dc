"""Dropout by the kernels' own random numbers."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from longspan.ops._native import draw_mask, draws_masks


def dropout(input: Tensor, p: float) -> Tensor:
    """Set numbers to zero with probability `p`, and scale those that stay by ``1 / (1 - p)``.

    What `torch.nn.functional.dropout` does in training, but on a CPU with a mask from `draw_mask`: torch draws one
    number after the other, in one thread, which takes longer than the step of a recurrent layer over the same rows.

    Parameters
    ----------
    input : Tensor
        Of any shape, floating point.
    p : float
        In [0, 1].

    Returns
    -------
    Tensor
        Like the input.

    Examples
    --------
    >>> import torch
    >>> sorted(set(dropout(torch.ones(100, 8), 0.5).unique().tolist()))
    [0.0, 2.0]

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov 2014, "Dropout: a simple way to prevent neural networks
    from overfitting".
    """
    if not 0 < p < 1 or not draws_masks(input):
        return functional.dropout(input, p)
    scaled = draw_mask(input, tuple(input.shape), 1 - p).to(input.dtype).mul_(1 / (1 - p))
    return input * scaled
