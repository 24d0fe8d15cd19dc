"""The memoryless baseline: a network that sees a window of steps and nothing older."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from longspan.nn._layout import Input, Lengths, read_input
from longspan.nn._recurrent import check_positive, check_probability
from longspan.ops import row_index


class FeedForward(nn.Module):
    """A multilayer perceptron that sees, at each step, the last `window` steps of its sequence.

    Before the first step of a sequence it sees zeros. It carries no state, so it shows what can be done
    without memory.

    Parameters
    ----------
    input_size : int
        Input features, I.
    hidden_size : int
        Units of each layer, H; each is followed by a relu.
    window : int
        Steps it sees, the present one included.
    num_layers : int
        Layers, L.
    dropout : float
        Probability of dropping a unit between two layers.
    batch_first : bool
        Whether tensors are (B, T, features) and not (T, B, features).
    device, dtype
        Of the weights.

    Raises
    ------
    ParameterError
        An argument is outside what it may be.

    Examples
    --------
    >>> output = FeedForward(3, 8, window=2)(torch.zeros(5, 2, 3))
    >>> output.shape
    torch.Size([5, 2, 8])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        window: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        *,
        batch_first: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        sizes = {
            "input_size": input_size,
            "hidden_size": hidden_size,
            "window": window,
            "num_layers": num_layers,
        }
        for name, size in sizes.items():
            check_positive(name, size)
        check_probability("dropout", dropout)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.window = window
        self.num_layers = num_layers
        self.dropout = float(dropout)
        self.batch_first = batch_first
        layers: list[nn.Module] = []
        for layer in range(num_layers):
            if layer and dropout:
                layers.append(nn.Dropout(dropout))
            features = hidden_size if layer else input_size * window
            layers += [nn.Linear(features, hidden_size, device=device, dtype=dtype), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    @property
    def output_size(self) -> int:
        """Features of the output of each step."""
        return self.hidden_size

    def forward(self, input: Input, *, lengths: Lengths | None = None) -> Input:
        """Run the network at every step.

        Parameters
        ----------
        input : Tensor or PackedSequence
            (T, B, I), with `batch_first` (B, T, I), one sequence (T, I), or packed.
        lengths : sequence of int, optional
            Length of each sequence of a padded tensor, in any order; the output beyond is zero.

        Returns
        -------
        Tensor or PackedSequence
            H features for each step, in the layout of the input.

        Raises
        ------
        ShapeError, EmptyDataError, ParameterError
            The input or the lengths do not fit.
        """
        rows, layout = read_input(input, lengths=lengths, batch_first=self.batch_first, features=self.input_size)
        rows = rows.reshape(-1, self.input_size)
        output = self.layers(windows(rows, layout.batch_sizes, self.window))
        return cast(Input, layout.restore(output))

    def extra_repr(self) -> str:
        """What the layers do not show."""
        return f"{self.input_size}, {self.hidden_size}, window={self.window}"


def windows(rows: Tensor, batch_sizes: Tensor, window: int) -> Tensor:
    """Each packed row with those of the steps before it, newest first, and zeros before the start.

    Parameters
    ----------
    rows : Tensor, shape (R, I)
        Packed rows.
    batch_sizes : Tensor, int64, shape (T,)
        Rows of each step.
    window : int
        Steps to join.

    Returns
    -------
    Tensor, shape (R, window * I)

    Examples
    --------
    >>> windows(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([2, 1]), window=2)
    tensor([[1., 0.],
            [2., 0.],
            [3., 1.]])
    """
    step, sequence, offsets = row_index(batch_sizes)
    source = step.unsqueeze(1) - torch.arange(window)
    # Row 0 is a row of zeros, for the steps before the start.
    index = torch.where(source < 0, 0, 1 + offsets[source.clamp(min=0)] + sequence.unsqueeze(1))
    padded = torch.cat([rows.new_zeros(1, rows.shape[-1]), rows])
    return padded.index_select(0, index.flatten().to(rows.device)).view(rows.shape[0], -1)
