"""Reconstruction: a sequence out of the few numbers that stand for it."""

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from longspan.nn._layout import spread
from longspan.tasks.autoencoder import Autoencoder, Latents
from longspan.tasks.task import Task


class Reconstruction(Task):
    """Give sequences back, each from its Z numbers.

    Parameters
    ----------
    network : Autoencoder
        Encodes and decodes.
    beta : float
        Weight of the divergence of a variational autoencoder; 1 makes its loss a bound of the log-likelihood.

    Notes
    -----
    The loss is a mean over the values that were seen of all steps: of the squared error of standardised channels, or,
    variational, of the negative evidence lower bound, in nats. Its noise has a variance for each channel, which is
    learned, so that the two parts of the bound are in the same units whatever the data are (Rybkin, Daniilidis & Levine
    2021, "Simple and effective VAE training with calibrated decoders").
    """

    network: Autoencoder

    def __init__(self, network: Autoencoder, *, beta: float = 1.0) -> None:
        super().__init__(network)
        self.beta = beta

    def loss(self, inputs: PackedSequence, targets: Tensor | None, weights: Tensor | None) -> Tensor:
        """Return the mean loss of the values of a batch; there are no targets but the inputs."""
        latents = self.network.encode(inputs)
        losses, seen = self._losses(inputs, latents, latents.sample())
        count = losses.numel() if seen is None else seen.sum().clamp(min=1.0)
        if weights is not None:
            losses = losses * spread(weights[:, None], inputs.batch_sizes)
        total: Tensor = losses.sum()
        if latents.log_variance is not None:
            divergence = latents.divergence()
            total = total + self.beta * (divergence if weights is None else divergence * weights).sum()
        return total / count

    def metrics(self, inputs: PackedSequence, targets: Tensor | None, weights: Tensor | None) -> dict[str, Tensor]:
        """Return weighted sums over the values of a batch: the loss, with nothing drawn, and the squared error."""
        latents = self.network.encode(inputs)
        losses, seen = self._losses(inputs, latents, latents.mean)
        errors, _ = self.residuals(inputs, latents.mean)
        own = losses.new_ones(len(latents.mean)) if weights is None else weights
        each = spread(own[:, None], inputs.batch_sizes).expand_as(losses)
        return {
            "weight": (each if seen is None else each * seen).sum(),
            "loss": (each * losses).sum() + self.beta * (own * latents.divergence()).sum(),
            "error": (each * errors.square()).sum(),
        }

    def read(self, outputs: Tensor) -> Tensor:
        """Return the latent numbers, shape (B, Z)."""
        return outputs.cpu().double()

    def residuals(self, inputs: PackedSequence, latents: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return what the reconstruction leaves of standardised steps, 0 where nothing was seen; and what was."""
        levels, seen = self.network.standardised(inputs)
        left = levels - self.network.decode(latents, inputs.batch_sizes)
        return (left if seen is None else left * seen), seen

    def _losses(self, inputs: PackedSequence, latents: Latents, drawn: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the loss of each value, shape (sum T_b, I), 0 where nothing was seen; and what was."""
        residuals, seen = self.residuals(inputs, drawn)
        losses = residuals.square()
        if latents.log_variance is not None:
            noise = self.network.log_noise
            losses = 0.5 * (losses * (-noise).exp() + (noise if seen is None else noise * seen))
        return losses, seen
