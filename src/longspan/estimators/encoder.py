"""`LSTMEncoder`: a few numbers for each sequence, from which it can be given back."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from longspan.data import Batch
from longspan.errors import ModelFileError, ParameterError
from longspan.estimators._base import all_or_nothing
from longspan.estimators._encoding.latents import LONGEST, check_latents, draw_lengths, packings, read_lengths, thinned
from longspan.estimators._encoding.residuals import ResidualMoments, UsualSquares
from longspan.estimators._inputs import read_weights
from longspan.estimators._parameters import check_number, check_parameters, documented
from longspan.estimators._recipe import DataShape, Recipe, choose_recipe, encoder_choices, matched
from longspan.estimators._sequence_estimator import TILE, SequenceEstimator
from longspan.estimators._training_set import TargetArray, TrainingSet
from longspan.sequences import Sequences
from longspan.tasks import (
    Autoencoder,
    AutoencoderConfig,
    NetworkConfig,
    Reconstruction,
    SequenceNetwork,
    count_autoencoder_parameters,
)
from longspan.training import Trainer


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class LSTMEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, SequenceEstimator):
    """Turn each sequence into a few numbers, learned by giving it back from them: a sequence autoencoder.

    Nothing but the sequences is needed. The numbers go into whatever takes a table; how well a sequence is given back
    says how normal it is; and a classifier or a regressor can start from what the encoder has learned (`pretrained`).

    Parameters
    ----------
    latent_size : int, default 16
        Numbers Z that stand for a sequence.
    variational : bool, default False
        Let a sequence stand for a Gaussian, and all of them together for the standard normal distribution, so that new
        sequences can be drawn with `sample`. Sequences are given back less exactly.
    beta : float, default 1.0
        Of a variational encoder: how much being like the standard normal counts. At 1 the loss is a bound of the
        likelihood; more makes the numbers more alike and independent, less gives sequences back more exactly.
    {parameters}

    Attributes
    ----------
    n_features_in_ : int
        Features of a step I; for a 2-D array, its number of columns.
    training_lengths_ : ndarray of int64
        Lengths of the sequences given (those of weight 0 left out), sorted; quantiles of them if there are more than
        1,000.
    network_ : longspan.tasks.Autoencoder
        The trained network, in evaluation mode.
    recipe_ : Recipe
        What every ``"auto"`` became.
    history_ : list of dict
        One record an epoch: losses (of standardised steps), learning rate, gradient norm, skipped steps, seconds.
    n_iter_, best_epoch_ : int
        Epochs trained, and the one whose weights are kept.
    stop_reason_ : str
        ``"max_epochs"``, ``"no_improvement"``, ``"interrupted"`` or ``"diverged"``.

    Notes
    -----
    The decoder sees the Z numbers and where in the sequence a step is, and not the step before. Errors are measured on
    standardised channels: an error of 1 is what giving back the mean would cost. Where values are missing
    (``missing="indicator"``) neither training nor scores ask for them. The decoder runs over every step, however much
    the encoder shortens a sequence, so a pass takes time in proportion to the steps: set `max_epochs` for sequences of
    tens of thousands of them, or keep one step in several.

    `score_samples` looks at what the reconstruction leaves of each channel, as it was in training: a residual goes on
    from the one before, and goes along with those of other channels. What is in it beyond that is surprising, and its
    mean square over the sequence is compared, on a logarithmic scale, with those of the training sequences. The channel
    that is most standard deviations above its mean decides. So the score falls when one channel alone is given back
    badly, and also when steps come in an order, or channels in a combination, that was not there in training. Sequences
    that were learned from are given back a little better than others: compare scores of sequences that were not.

    Identical sequences are merged and their weights added, so that a fit depends neither on the order of the sequences
    nor on whether a sequence was repeated or given a weight.

    What each ``"auto"`` becomes is found in ``recipe_`` after fitting. The network sees each channel standardised, and
    its change from step to step; sequences of more than 64 steps go through two convolutional blocks that shorten them;
    the last state of each direction, the mean and the maximum over the steps are read out side by side. Batches hold
    16 sequences, 32 if there are more than 500 and 64 if there are more than 2,000; there are at least 15 passes, and
    500 training steps. Nothing is held out, and nothing dropped; inputs have noise of 0.2.

    References
    ----------
    Srivastava, Mansimov & Salakhutdinov 2015, "Unsupervised learning of video representations using LSTMs";
    Malhotra et al. 2016, "LSTM-based encoder-decoder for multi-sensor anomaly detection";
    Kingma & Welling 2014, "Auto-encoding variational Bayes"; Higgins et al. 2017, "beta-VAE".

    Examples
    --------
    >>> import numpy as np
    >>> from longspan import LSTMEncoder
    >>> rng = np.random.default_rng(0)
    >>> X = [np.sin(np.arange(length) / 3 + rng.uniform(0, 6)) for length in rng.integers(10, 20, size=40)]
    >>> encoder = LSTMEncoder(4, hidden_size=16, max_epochs=30, random_state=0).fit(X)
    >>> Z = encoder.transform(X)
    >>> Z.shape
    (40, 4)
    >>> [len(x) for x in encoder.inverse_transform(Z[:2], lengths=[12, 30])]
    [12, 30]
    """

    latent_size: int = field(default=16, kw_only=False)
    variational: bool = False
    beta: float = 1.0

    network_: Autoencoder = field(init=False)
    training_lengths_: NDArray[np.int64] = field(init=False)

    _network_type: ClassVar[Any] = Autoencoder
    _state: ClassVar[dict[str, type]] = SequenceEstimator._state | {"training_lengths_": np.ndarray}

    # Fitting ---------------------------------------------------------------------------------------------------------

    @all_or_nothing
    def fit(
        self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> Self:
        """Learn from sequences.

        Parameters
        ----------
        X : Sequences, array (N, T, I) or (N, T), or list of arrays (T_i, I)
            Sequences of any lengths.
        y : ignored
            For the sake of pipelines.
        sample_weight : array (N,), optional
            Weight of each sequence; 0 leaves it out.
        groups : array (N,), optional
            Participant, machine, site...: no group is both trained and validated on.

        Returns
        -------
        self

        Raises
        ------
        ShapeError, NonFiniteError, EmptyDataError, TargetError
            If X cannot be learned from; the message says where and why.
        ParameterError
            If a parameter is out of range.
        """
        check_parameters(self.get_params(deep=False))
        sequences = self._read_X(X, reset=True)
        self.training_lengths_ = thinned(_weighted_lengths(sequences, sample_weight))
        return self._fit(
            sequences, _nothing(sequences), output_size=self.latent_size, sample_weight=sample_weight, groups=groups
        )

    @all_or_nothing
    def partial_fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Make one pass over some sequences, going on from where the last call ended.

        The scale of the input is measured in the first call, and what `score_samples` knows of residuals in the last.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self
        """
        check_parameters(self.get_params(deep=False))
        first = not hasattr(self, "network_")
        sequences = self._read_X(X, reset=first)
        lengths = _weighted_lengths(sequences, sample_weight)
        self.training_lengths_ = thinned(lengths if first else np.concatenate([self.training_lengths_, lengths]))
        return self._partial_fit(
            sequences, _nothing(sequences), output_size=self.latent_size, sample_weight=sample_weight
        )

    def _train(self, training_set: TrainingSet, seed: int, *, goes_on: bool = False, title: str = "") -> Trainer:
        trainer = super()._train(training_set, seed, goes_on=goes_on, title=title)
        self._measure_residuals(training_set)
        return trainer

    def _train_one_pass(self, training_set: TrainingSet, *, goes_on: bool) -> None:
        super()._train_one_pass(training_set, goes_on=goes_on)
        self._measure_residuals(training_set)

    def _measure_residuals(self, training_set: TrainingSet) -> None:
        """Measure what reconstructions leave, in one pass, and how much of it sequences have, in another."""
        sequences, kept = training_set.sequences, training_set.kept
        residuals, size = self.network_.residuals, self.network_.config.target_size
        moments, usual = ResidualMoments(size), UsualSquares.none(size)
        for batch, left, seen in self._residuals(sequences, index=kept):
            owners = np.searchsorted(sequences.offsets, batch.rows, side="right") - 1
            moments.add(left, batch.inputs.batch_sizes, _column(training_set.weights[owners]), seen)
        moments.fill(residuals)
        for batch, left, seen in self._residuals(sequences, index=kept):
            logarithms = residuals.log_squares(left, batch.inputs.batch_sizes, seen)
            usual.add(logarithms, _column(training_set.weights[batch.index]))
        usual.fill(residuals)

    def _choices(self, shape: DataShape) -> dict[str, Any]:
        return encoder_choices(shape)

    def _choose_recipe(self, training_set: TrainingSet, output_size: int) -> Recipe:
        shape = DataShape.of(training_set, output_size)
        recipe = choose_recipe(self._settings() | {"match_parameters": False}, shape, self._choices(shape))
        config = AutoencoderConfig(
            **vars(recipe.network), target_size=self.n_sequence_features_, variational=bool(self.variational)
        )
        return replace(
            recipe, network=matched(config, count_autoencoder_parameters) if self.match_parameters else config
        )

    def _make_task(self) -> Reconstruction:
        return Reconstruction(self.network_, beta=self.beta)

    def _sequence_network(self, network: Any) -> SequenceNetwork:
        part: SequenceNetwork = network.encoder
        return part

    # There ---------------------------------------------------------------------------------------------------------

    @property
    def _n_features_out(self) -> int:
        """How many columns `transform` gives; the mixin names them after it."""
        size: int = self.network_.config.output_size
        return size

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Return the numbers that stand for each sequence.

        Parameters
        ----------
        X : Sequences, array or list of arrays
            As in `fit`; lengths may be others.

        Returns
        -------
        ndarray (N, Z)
            With `variational` the means of the Gaussians.
        """
        sequences = self._read_fitted(X)
        task = self._make_task()
        numbers = np.empty((len(sequences), self._n_features_out))
        with torch.inference_mode():
            for batch in self._reading_batches(sequences).longest_first(tile=TILE):
                numbers[batch.index] = task.read(self.network_(batch.inputs)).numpy()
        return numbers

    # And back --------------------------------------------------------------------------------------------------------

    def inverse_transform(self, Z: ArrayLike, lengths: Any = None) -> Any:
        """Return sequences made from numbers.

        Parameters
        ----------
        Z : array (N, Z)
            What `transform` gave, or anything like it.
        lengths : int or array (N,) of int, optional
            Steps of each sequence; may be left out if all training sequences had the same.

        Returns
        -------
        list of ndarray (T_i, I), or ndarray (N, T, I) where one length serves all
            In the units of the data. An encoder of a 2-D array gives a 2-D array (N, T) back.

        Raises
        ------
        ShapeError, NonFiniteError, EmptyDataError
            If Z or the lengths cannot be used.
        ParameterError
            If lengths are needed and missing.
        """
        check_is_fitted(self, "network_")
        latents = check_latents(Z, self._n_features_out)
        steps = read_lengths(lengths, len(latents), self.training_lengths_)
        size, device = self.network_.config.target_size, self.network_.encoder.views.mean.device
        offsets = np.concatenate([[0], np.cumsum(steps)])
        values = np.empty((int(offsets[-1]), size))
        with torch.inference_mode():
            for index, packed in packings(offsets, steps):
                numbers = torch.from_numpy(latents[index].astype(np.float32)).to(device)
                values[packed.rows] = self._decoded(numbers, torch.from_numpy(packed.batch_sizes))
        if lengths is not None and np.ndim(lengths) == 1:
            return np.split(values, offsets[1:-1])
        block = values.reshape(len(latents), -1, size)
        return block[:, :, 0] if self._columns_are_steps else block

    def _decoded(self, latents: Tensor, batch_sizes: Tensor) -> NDArray[np.float32]:
        """Return packed steps in the units of the data, shape (sum T_b, I)."""
        config, views = self.network_.config, self.network_.encoder.views
        given = self.network_.decode(latents, batch_sizes)
        rows: Tensor = given * views.scale[: config.target_size] + views.mean[: config.target_size]
        return rows.cpu().numpy()

    def sample(self, n_samples: int = 1, *, lengths: Any = None, random_state: Any = None) -> Any:
        """Draw new sequences: numbers from the standard normal distribution, given to the decoder.

        Parameters
        ----------
        n_samples : int
            How many, N.
        lengths : int or array (N,) of int, optional
            Steps of each; drawn from those of the training sequences by default.
        random_state : int, RandomState or None
            Seed of the draw.

        Returns
        -------
        list of ndarray (T_i, I), or ndarray (N, T, I)
            As `inverse_transform` has it: what the decoder expects, without the noise around it.

        Raises
        ------
        ParameterError
            If the encoder is not variational: nothing is known then of where its numbers lie.
        """
        check_is_fitted(self, "network_")
        if not self.network_.config.variational:
            raise ParameterError(
                "sample draws from the distribution of a variational encoder, but this one was fitted with "
                "variational=False.\n  Set variational=True and fit again."
            )
        check_number("n_samples", n_samples)
        rng = check_random_state(random_state)
        latents = rng.standard_normal((int(n_samples), self._n_features_out))
        if lengths is None and self.training_lengths_[0] != self.training_lengths_[-1]:
            lengths = draw_lengths(self.training_lengths_, len(latents), rng)
        return self.inverse_transform(latents, lengths)

    # How well --------------------------------------------------------------------------------------------------------

    def reconstruct(self, X: Any) -> Any:
        """Return each sequence as the decoder gives it back.

        Returns
        -------
        list of ndarray (T_i, I), or ndarray of the shape of X where X was an array
            In the units of the data; also where values are missing.
        """
        sequences = self._read_fitted(X)
        values = np.empty((sequences.n_steps, self.network_.config.target_size))
        with torch.inference_mode():
            for batch in self._reading_batches(sequences).longest_first(tile=TILE):
                values[batch.rows] = self._decoded(self.network_(batch.inputs), batch.inputs.batch_sizes)
        flat = len(getattr(X, "shape", ())) == 2
        return self._by_step(values[:, 0] if flat else values, X, sequences)

    def reconstruction_error(self, X: Any) -> Any:
        """Return how far each step is from its reconstruction.

        Returns
        -------
        list of ndarray (T_i,), or ndarray (N, T) where X was an array
            The squared error of standardised channels, averaged over those that were seen (NaN where none was): 1 is
            what giving back the mean of the training data would cost on average.
        """
        sequences = self._read_fitted(X)
        errors = np.empty(sequences.n_steps)
        for batch, left, seen in self._residuals(sequences, tile=TILE):
            squares = left.double().square()
            mean = squares.mean(dim=1) if seen is None else squares.sum(dim=1) / seen.sum(dim=1)
            errors[batch.rows] = mean.cpu().numpy()
        return self._by_step(errors, X, sequences)

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """Return how normal each sequence is: how little its reconstruction leaves of its strangest channel.

        Returns
        -------
        ndarray (N,)
            Higher is more normal. 0 is as the average training sequence, and -3 three standard deviations stranger;
            see Notes.
        """
        sequences = self._read_fitted(X)
        scores = np.empty(len(sequences))
        for batch, left, seen in self._residuals(sequences, tile=TILE):
            strangeness = self.network_.residuals.strangeness(left, batch.inputs.batch_sizes, seen)
            scores[batch.index] = -strangeness.cpu().numpy()
        return scores

    def score(self, X: Any, y: Any = None) -> float:
        """Return the share of the variance that is given back: 1 less the mean squared error of standardised values.

        1 is best, 0 is what the mean of the training data would reach. Encoders can be searched by it, and compared on
        sequences that they have not seen.
        """
        sequences = self._read_fitted(X)
        total, count = 0.0, 0.0
        for _, left, seen in self._residuals(sequences):
            total += float(left.double().square().sum())
            count += float(left.numel() if seen is None else seen.sum())
        return 1.0 - total / count if count else math.nan

    def _read_fitted(self, X: Any) -> Sequences:
        check_is_fitted(self, "network_")
        return self._read_X(X)

    def _residuals(
        self, sequences: Sequences, *, index: NDArray[np.int64] | None = None, tile: int = 1
    ) -> Iterator[tuple[Batch, Tensor, Tensor | None]]:
        """Yield batches, what the reconstruction leaves of their standardised steps, and which values were seen."""
        task = self._make_task()
        for batch in self._reading_batches(sequences, index).longest_first(tile=tile):
            with torch.no_grad():
                left, seen = task.residuals(batch.inputs, self.network_(batch.inputs))
            yield batch, left, seen

    # What a model file is checked for ---------------------------------------------------------------------------------

    def _kind_of_network(self) -> dict[str, tuple[Any, Any]]:
        variational = (bool(self.variational), self.recipe_.network.variational)
        return super()._kind_of_network() | {"variational": variational}

    def _check_config(self, config: NetworkConfig) -> None:
        super()._check_config(config)
        if config.pooling is None:
            raise ModelFileError("an encoder has one vector for each sequence, but the file speaks of one a step.")

    def _check_state(self) -> None:
        config: AutoencoderConfig = self.network_.config
        size, features = config.target_size, self.n_sequence_features_
        if features != size or config.input_size != (3 * size if config.gaps else size):
            raise ModelFileError(
                f"the network takes {config.input_size} features and gives {size} back, the estimator has {features}."
            )
        if not bool((self.network_.residuals.spread > 0).all()):
            raise ModelFileError("residuals.spread is divided by, and is not above 0.")
        lengths = self.training_lengths_
        if lengths.ndim != 1 or lengths.dtype.kind != "i" or not len(lengths) or lengths[0] < 1:
            raise ModelFileError("training_lengths_ are not numbers of steps.")
        if (np.diff(lengths) < 0).any() or lengths[-1] > LONGEST:
            raise ModelFileError("training_lengths_ are not in order, or longer than any sequence.")


def _column(weights: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(weights)[:, None]


def _weighted_lengths(sequences: Sequences, sample_weight: ArrayLike | None) -> NDArray[np.int64]:
    """Return the lengths of the sequences that weigh anything."""
    return sequences.lengths[read_weights(sample_weight, len(sequences)) > 0]


def _nothing(sequences: Sequences) -> TargetArray:
    """Return targets of no columns: what is learned is the sequences themselves."""
    return TargetArray(np.empty((len(sequences), 0), dtype=np.float32), per_step=False)
