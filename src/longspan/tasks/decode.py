"""Decoding: a sequence out of a source, step by step, each from the steps before it."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from longspan.errors import ParameterError
from longspan.nn.packed import row_index, rows_before
from longspan.tasks.decoder_network import DecoderState, Encoded, SequenceDecoder
from longspan.tasks.generate import draw
from longspan.tasks.task import Task, weighted_mean, weighted_sums


class Decoding(Task):
    """Learn the next symbol, or the next numbers and whether they are the last.

    Parameters
    ----------
    network : SequenceDecoder
        What is trained.
    label_smoothing : float
        Share of the probability that training asks to be spread over all symbols; metrics are free of it.
    scheduled_sampling : float
        Share of the steps at which the network reads, at the end of training, what it would have said itself instead of
        the true step before.
    sampling_steps : int
        Training steps over which that share grows from zero; with 0 it is there at once.

    Notes
    -----
    Batches are those of `longspan.data.PairBatches` and `StreamBatches`: ``inputs`` have a source, and what the targets
    continue; ``targets`` are packed rows as `SequenceDecoder` takes them.

    References
    ----------
    Teacher forcing: Williams & Zipser 1989. Scheduled sampling: Bengio, Vinyals, Jaitly & Shazeer 2015; with the
    predictions of a first pass over the true steps, so that the second pass too is one call of the cell: Mihaylova &
    Martins 2019.
    """

    network: SequenceDecoder

    def __init__(
        self,
        network: SequenceDecoder,
        *,
        label_smoothing: float = 0.0,
        scheduled_sampling: float = 0.0,
        sampling_steps: int = 0,
    ) -> None:
        super().__init__(network)
        self.label_smoothing = label_smoothing
        self.scheduled_sampling = scheduled_sampling
        self.sampling_steps = sampling_steps
        self._steps = 0
        self._last_state: DecoderState | None = None

    def loss(self, inputs: Any, targets: Any, weights: Tensor | None) -> Tensor:
        """Return the mean negative log-likelihood of a step in nats."""
        outputs = self._outputs(inputs, targets)
        self._steps += 1
        return weighted_mean(self.losses(outputs, targets.data, self.label_smoothing), weights)

    def metrics(self, inputs: Any, targets: Any, weights: Tensor | None) -> dict[str, Tensor]:
        """Return weighted sums: the negative log-likelihood, and for symbols how many were right (``"accuracy"``)."""
        outputs = self._outputs(inputs, targets)
        losses = self.losses(outputs, targets.data)
        if self.network.config.target == "numbers":
            return weighted_sums(weights, loss=losses)
        right = outputs.argmax(dim=-1) == targets.data[:, 0].long()
        return weighted_sums(weights, loss=losses, accuracy=right.to(losses.dtype))

    def read(self, outputs: Tensor) -> Tensor:
        """Turn outputs into probabilities of the symbols and the stop; or into numbers and that of the stop."""
        if self.network.config.target == "symbols":
            return outputs.cpu().double().softmax(dim=-1)
        numbers = self.network.in_units(outputs[..., :-1])
        return torch.cat([numbers, outputs[..., -1:].sigmoid()], dim=-1).cpu().double()

    @property
    def sampled_share(self) -> float:
        """Share of the steps before that the network draws itself in the training step that comes next."""
        return self.scheduled_sampling * min(1.0, (self._steps + 1) / max(1, self.sampling_steps))

    def log_likelihood(self, inputs: Any, targets: PackedSequence) -> Tensor:
        """Return the log-likelihood of each row of the targets in nats, shape (sum T_b,)."""
        return -self.losses(self._outputs(inputs, targets), targets.data)

    def probabilities(self, inputs: Any, targets: PackedSequence) -> Tensor:
        """Return what `read` makes of the outputs at each row of the targets."""
        return self.read(self._outputs(inputs, targets))

    def attention(self, inputs: Any, targets: PackedSequence) -> Tensor:
        """Return where in the source the network looks at each row of the targets, shape (sum T_b, longest source)."""
        weights = self._run(inputs, targets)[1]
        if weights is None:
            raise ParameterError("the network has no attention to look at.")
        step, sequence, _ = row_index(targets.batch_sizes)
        return weights[sequence, step, 1:-1]  # the first border, and of the longest source the second one, left out

    def losses(self, outputs: Tensor, rows: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Return the negative log-likelihood of each target row, shape (R,)."""
        if self.network.config.target == "symbols":
            return F.cross_entropy(outputs, rows[:, 0].long(), reduction="none", label_smoothing=label_smoothing)
        stop = rows[:, -1]
        standardised = (rows[:, :-1] - self.network.target_mean) / self.network.target_scale
        log_spread = self.network.log_spread
        squares = ((standardised - outputs[:, :-1]) / log_spread.exp()).square()
        of_numbers = (0.5 * squares + log_spread + 0.5 * math.log(2 * math.pi)).sum(dim=-1)
        of_stop = F.binary_cross_entropy_with_logits(outputs[:, -1], stop, reduction="none")
        return torch.where(stop > 0, 0.0, of_numbers) + of_stop

    def _outputs(self, inputs: Any, targets: PackedSequence) -> Tensor:
        return self._run(inputs, targets)[0]

    def _run(self, inputs: Any, targets: PackedSequence) -> tuple[Tensor, Tensor | None]:
        """Return outputs and attention of each row, and keep the state for the batch that continues this one."""
        encoded = self.network.encode(inputs.source, int(targets.batch_sizes[0]))
        state = self._state_before(inputs, encoded)
        before = rows_before(targets, inputs.before)
        if self.network.training and self.scheduled_sampling:
            before = self._partly_sampled(before, state, encoded)
        outputs, state, weights = self.network.run(before, state, encoded)
        self._last_state = None if inputs.carried is None else state.detach()
        return outputs, weights

    def _state_before(self, inputs: Any, encoded: Encoded) -> DecoderState:
        if inputs.carried is None or self._last_state is None:
            return encoded.start
        last = self._last_state.select(inputs.carried.clamp(min=0))
        goes_on = inputs.carried >= 0
        return DecoderState(
            tuple(torch.where(goes_on[:, None], a, b) for a, b in zip(last.cell, encoded.start.cell, strict=True)),
            torch.where(goes_on, last.steps, encoded.start.steps),
        )

    @torch.no_grad()
    def _partly_sampled(self, before: PackedSequence, state: DecoderState, encoded: Encoded) -> PackedSequence:
        """Put what the network says itself in the place of some of the true steps before."""
        outputs = self.network.run(before, state, encoded)[0]
        said = before._replace(data=draw(self.network, outputs, temperature=1.0, may_stop=False))
        said = rows_before(said, before.data[: int(before.batch_sizes[0])])
        chosen = torch.rand(len(outputs), 1, device=outputs.device) < self.sampled_share
        return before._replace(data=torch.where(chosen, said.data, before.data))
