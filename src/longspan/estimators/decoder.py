"""`LSTMDecoder`: a sequence out of a sequence, out of a vector, or out of nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import r2_score
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from longspan.errors import ParameterError
from longspan.estimators._base import all_or_nothing
from longspan.estimators._decoding.generating import SequenceGenerating, check_whole
from longspan.estimators._inputs import read_weights
from longspan.estimators._parameters import check_parameters, documented

_M = TypeVar("_M", bound=Callable[..., Any])


def _of_symbols(method: _M) -> _M:
    """Offer a method where targets are known to be symbols."""

    def is_of_symbols(self: Any) -> bool:
        if getattr(self, "target_", self.target) == "symbols":
            return True
        why = "the targets are numbers; see log_likelihood" if hasattr(self, "target_") else "it is not fitted yet"
        raise AttributeError(f"{method.__name__} is of symbols, but {why}.")

    offered: _M = available_if(is_of_symbols)(method)
    return offered


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class LSTMDecoder(SequenceGenerating):
    """Answer with a sequence: translate a sequence, unfold a vector, or continue a text, with an LSTM.

    One network reads the source in both directions, another one generates the target, each step from the steps before
    and from what attention finds in the source. Start and stop symbols are put in and taken out inside.

    Parameters
    ----------
    source : {"auto", "nothing", "vector", "numbers", "symbols"}, default "auto"
        What X holds: None; one vector each, (N, I); sequences of numbers; or strings or lists of tokens. ``"auto"``
        takes None for nothing, text for symbols, and everything else for sequences of numbers: a 2-D array (N, T)
        then is N sequences of T numbers, and not N vectors.
    target : {"auto", "numbers", "symbols"}, default "auto"
        What y holds. Lists of whole numbers are numbers, unless the target is said to be symbols.
    attention : {"dot", "additive"} or None, default "dot"
        How the decoder finds its place in a source with steps (see `longspan.nn.Attention`), or None: the decoder
        then has nothing but the last state of the encoder.
    hidden_size : int or "auto", default "auto"
        Hidden units H of each layer of the decoder, and of the encoder in each direction.
    {parameters}
    label_smoothing : float or "auto", default "auto"
        Share of the probability that training asks to be spread over all symbols.
    scheduled_sampling : float, default 0.0
        Share of the steps at which the network reads its own symbol instead of the true one at the end of training; the
        share grows from 0. With 0, teacher forcing, the network reads the truth alone.
    bptt_steps : int, None or "auto", default "auto"
        Targets longer than this are learned in pieces, each from the state in which the last one ended, and gradients
        go back no further than a piece: truncated backpropagation through time. None cuts nothing.

    Attributes
    ----------
    source_, target_ : str
        What X and y held.
    symbols_, source_symbols_ : list of str or int
        The symbols of targets and sources, sorted; empty where there are none.
    longest_target_ : int
        Steps of the longest target.
    n_features_in_ : int
        Features of a source step or vector; for a 2-D array, its number of columns. None with other sources.
    network_ : longspan.tasks.SequenceDecoder
        The trained network, in evaluation mode.
    recipe_ : Recipe
        What every ``"auto"`` became.
    history_ : list of dict
        One record an epoch: loss in nats a step, of the training part and of the part held out, accuracy of the next
        symbol, learning rate, gradient norm, skipped steps, seconds.
    n_iter_, best_epoch_ : int
        Epochs trained, and the one whose weights are kept.
    stop_reason_ : str
        ``"max_epochs"``, ``"no_improvement"``, ``"interrupted"`` or ``"diverged"``.

    Notes
    -----
    What each ``"auto"`` becomes is found in ``recipe_`` after fitting. There are 128 hidden units, and 256 for targets
    without sources of 100,000 steps or more. Labels are smoothed by 0.1 where symbols answer a source. A tenth of the
    pairs, 1,000 at most, is held out of 50 or more, and the weights of the best epoch are kept; of a single text, the
    last tenth. Batches hold 16, 32 or 64 pairs; targets longer than 128 steps (1,024 with a source) are learned in
    pieces, up to 32 side by side. There are at least 15 passes, and on small sets as many as make 1,500 training steps.

    Numbers are predicted as the mean of a normal distribution whose spread is the same at every step, and with it the
    probability that the sequence has ended.

    Pairs that are equal are merged and their weights added.

    Examples
    --------
    >>> import numpy as np
    >>> from longspan import LSTMDecoder
    >>> rng = np.random.default_rng(0)
    >>> words = ["".join(rng.choice(list("abcd"), size=length)) for length in rng.integers(1, 7, size=300)]
    >>> decoder = LSTMDecoder(hidden_size=32, random_state=0).fit(words, [word[::-1] for word in words])
    >>> decoder.predict(["abba", "bad"])
    ['abba', 'dab']

    References
    ----------
    Sutskever, Vinyals & Le 2014, "Sequence to sequence learning with neural networks"; Bahdanau, Cho & Bengio 2015,
    "Neural machine translation by jointly learning to align and translate"; Luong, Pham & Manning 2015, "Effective
    approaches to attention-based neural machine translation".
    """

    hidden_size: int | str = "auto"  # type: ignore[assignment]  # a text asks for more than an answer

    @all_or_nothing
    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None, groups: ArrayLike | None = None) -> Self:
        """Learn to answer sources with targets.

        Parameters
        ----------
        X : list of str, list of lists of tokens, sequences of numbers, array (N, I), or None
            N sources; see the parameter `source`.
        y : list of str, list of lists of tokens, or sequences of numbers
            N targets of any lengths, 1 or more. Sequences of numbers are arrays (T_i,) or (T_i, K), an array (N, T) or
            (N, T, K), `Sequences`, or an array (N,) of single numbers.
        sample_weight : array (N,), optional
            Weight of each pair; 0 leaves it out.
        groups : array (N,), optional
            Speaker, author, machine...: no group is both trained and validated on.

        Returns
        -------
        self

        Raises
        ------
        ShapeError, NonFiniteError, EmptyDataError, DataError, TargetError
            If X or y cannot be learned from; the message says where and why.
        ParameterError
            If a parameter is out of range.
        """
        check_parameters(self.get_params(deep=False))
        return self._fit(X, y, sample_weight, groups)

    @all_or_nothing
    def partial_fit(
        self,
        X: Any,
        y: Any,
        symbols: Any = None,
        source_symbols: Any = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Make one pass over some pairs, going on from where the last call ended.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        symbols, source_symbols : list of str or int, optional
            Symbols of targets and sources that will come later; needed in the first call if the pairs lack some.

        Returns
        -------
        self
        """
        check_parameters(self.get_params(deep=False))
        return self._partial_fit(X, y, symbols, source_symbols, sample_weight)

    def predict(self, X: Any, *, beam_width: int = 1, max_length: int | None = None) -> Any:
        """Return the target of each source that is found most probable.

        Parameters
        ----------
        X : as in `fit`
            Sources of any lengths; None, for a model without sources, asks for one target.
        beam_width : int, default 1
            1 takes the most probable symbol at each step. More keep so many beginnings in view (beam search), and
            return the target with the highest mean log-likelihood a step, never less than that with 1; at most as many
            as there are symbols and a stop.
        max_length : int, optional
            Steps of a target, at most; by default twice as many as the longest in training (without sources no more
            than 10,000), or exactly as many if all targets of numbers had the same.

        Returns
        -------
        list of str or list of list of tokens
            As the targets were; targets of numbers are an array (N,), (N, T) or (N, T, K) where all have one length,
            else a list of arrays (T_i,) or (T_i, K).

        Raises
        ------
        DataError, ShapeError, NonFiniteError
            If X cannot be read as the sources were, or holds a symbol that was not there in training.
        ParameterError
            If `beam_width` or `max_length` is out of range.
        """
        sources = self._read_X(X)
        return self._as_given(
            self._predicted(sources, self._checked_beam(beam_width), self._checked_length(max_length))
        )

    def sample(
        self,
        n: int = 1,
        X: Any = None,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        prefix: Any = None,
        max_length: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> Any:
        """Draw targets from the distribution that was learned.

        Parameters
        ----------
        n : int, default 1
            Targets to draw, for each source.
        X : as in `fit`, optional
            Sources; None for a model without sources.
        temperature : float, default 1.0
            Below 1 the probable becomes more probable; 0 draws the most probable at each step. For numbers, a factor of
            the spread.
        top_k : int, optional
            Draw only from so many of the most probable symbols, the stop among them. Not for numbers.
        prefix : str, list of tokens or array, optional
            What each target begins with.
        max_length : int, optional
            Steps of a target at most, its prefix among them; as in `predict` by default.
        random_state : int, RandomState or None
            Seed of the draw; None for another draw each time.

        Returns
        -------
        list
            `n` targets as `predict` returns them; with sources one such list for each.

        Raises
        ------
        ParameterError
            If an argument is out of range, or the prefix is longer than `max_length`.
        TargetError
            If the prefix holds a symbol that was not there in training.
        """
        check_is_fitted(self, "network_")
        check_whole("n", n)
        sources = self._read_X(X)
        if not _is_number(temperature) or not 0 <= temperature < np.inf:
            raise ParameterError(f"temperature is a number from 0, but it was {temperature!r}.")
        if top_k is not None:
            check_whole("top_k", top_k)
            if self.target_ == "numbers":
                raise ParameterError(
                    f"top_k is {top_k}, but the targets are numbers: there are no symbols to leave out."
                )
        limit = self._checked_length(max_length)
        drawn = self._drawn(
            sources,
            int(n),
            max_length=limit,
            prefix=self._read_prefix(prefix, limit),
            temperature=float(temperature),
            top_k=top_k,
            seed=int(check_random_state(random_state).randint(np.iinfo(np.int32).max)),
        )
        given = [self._as_given(rows) for rows in drawn]
        return given[0] if sources is None else given

    @_of_symbols
    def predict_proba(self, X: Any, y: Any = None) -> list[NDArray[np.float64]]:
        """Return the probability of each symbol at each step of given targets, from the steps before it.

        Parameters
        ----------
        X : as in `fit`
            Sources.
        y : as in `fit`, optional
            Targets; those that are predicted by default.

        Returns
        -------
        list of ndarray (T_i + 1, V + 1)
            A row for each symbol of a target and one for its end; a column for each of ``symbols_``, the last for the
            stop.
        """
        check_is_fitted(self, "network_")
        return self._by_row(X, self.predict(X) if y is None else y, "probabilities", width=len(self.symbols_) + 1)[0]

    def log_likelihood(self, X: Any, y: Any) -> NDArray[np.float64]:
        """Return the log-likelihood of targets, the stop among their steps, in nats.

        Parameters
        ----------
        X, y : as in `fit`
            Sources and targets.

        Returns
        -------
        ndarray (N,)
            Of symbols, the logarithm of a probability; of numbers that of a density, in the units of the targets.
        """
        check_is_fitted(self, "network_")
        rows, targets = self._by_row(X, y, "log_likelihood")
        sums = np.array([row.sum() for row in rows])
        if self.target_ == "numbers":
            sums -= (targets.lengths - 1) * self.network_.target_scale.double().log().sum().item()
        return sums

    def perplexity(self, X: Any, y: Any) -> float:
        """Return the perplexity of targets: the exponential of the mean negative log-likelihood a step.

        Its logarithm to base 2 is the number of bits a symbol. The stop of each target counts as a step.
        """
        found = self.log_likelihood(X, y)
        steps = self._read_again(X, y)[1].n_steps
        return float(np.exp(-found.sum() / steps))

    def attention_weights(self, X: Any, y: Any = None) -> list[NDArray[np.float64]]:
        """Return where in the source the network looks for each step of a target.

        Parameters
        ----------
        X : as in `fit`
            Sources with steps.
        y : as in `fit`, optional
            Targets; those that are predicted by default.

        Returns
        -------
        list of ndarray (T_i, S_i)
            A row for each step of a target, a column for each of its source. What a row lacks to 1 lies on the borders
            before and after the source, which the network also sees.

        Raises
        ------
        ParameterError
            If there is no attention.
        """
        check_is_fitted(self, "network_")
        if not self.network_.attends:
            raise ParameterError(
                f"the model has no attention to look at: source is {self.source_!r}, attention {self.attention!r}.\n"
                f"  Attention needs sources with steps, and attention='dot' or 'additive'."
            )
        lengths = self._lengths_of(X)
        rows, _ = self._by_row(X, self.predict(X) if y is None else y, "attention", width=int(lengths.max()))
        return [weights[:-1, :length] for weights, length in zip(rows, lengths.tolist(), strict=True)]

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return the share of targets that are predicted rightly, symbol by symbol; for numbers R².

        R² compares predictions of the lengths of the targets, each step made from predicted steps, over all steps.
        """
        sources, targets = self._read_again(X, y)
        weights = read_weights(sample_weight, len(targets))
        lengths = targets.lengths - 1
        if self.target_ == "symbols":
            wanted = [target[:-1] for target in targets]
            found = self._predicted(sources, 1, self._checked_length(None))
            if sources is None:
                found = found * len(wanted)
            right = [np.array_equal(a, b) for a, b in zip(found, wanted, strict=True)]
            return float(np.average(right, weights=weights))
        predicted = self._predicted(sources, 1, int(lengths.max()), lengths)
        if sources is None:
            predicted = [predicted[0][:length] for length in lengths]
        truth = np.concatenate([target[:-1, :-1] for target in targets])
        made = np.concatenate([rows[:, :-1] for rows in predicted])
        return float(r2_score(truth, made, sample_weight=np.repeat(weights, lengths)))


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
