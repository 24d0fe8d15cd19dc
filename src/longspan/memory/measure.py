"""`memory_report`: everything that is measured, and what it means."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from longspan.errors import ParameterError
from longspan.memory._anchors import as_seed, draw_anchors
from longspan.memory._progress import Progress
from longspan.memory._subject import Subject, Targets
from longspan.memory.context import Losses, ablate, check_can_replace, n_windows, occlude, used_span
from longspan.memory.curves import ContextCurve, Curves, LagCurve
from longspan.memory.gates import measure_gates
from longspan.memory.gradients import (
    EXPLODED,
    VANISHED,
    first_above,
    first_below,
    in_words,
    influence_curve,
    lag_norms,
    state_curve,
)
from longspan.memory.report import SPANS, Example, MemoryReport
from longspan.memory.states import measure_forgetting
from longspan.memory.verdict import Findings, judge
from longspan.memory.windows import Need, needed_span
from longspan.nn import RNN
from longspan.nn._recurrent import Recurrent, check_positive
from longspan.sequences import Sequences

Array = NDArray[np.float64]

_FEWEST = 24
"""Outputs that are looked at, however long the sequences; if there are so many."""

_STEPS_AT_A_TIME = 400_000
"""Steps that the measures which run the network again and again may send through it each time."""

_STEPS_BACK = 1 << 21
"""Steps that gradients are propagated through."""

_MOST_ANCHORS = 512
_MOST_FOR_WINDOWS = 400
_TRACED = 64
_EXAMPLES = 4

_AS_GOOD = 0.01
"""A window model is as good as the network if its score is lower by no more than this."""

_SURE = 2.0
"""Standard errors by which the network must be better than every window model to know of more."""


def memory_report(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    lag: int | None = None,
    training_window: int | None = None,
    n_anchors: int = 256,
    random_state: Any = 0,
    verbose: int = 0,
) -> MemoryReport:
    """Measure how far back a network can learn, how far it remembers, and how far it should.

    The network is looked at as it predicts; the estimator is left as it is. Of large data a random sample is measured,
    the same for the same `random_state`.

    Parameters
    ----------
    estimator : fitted estimator, SequenceNetwork, or recurrent module of longspan.nn or torch.nn
        What is looked at.
    X : Sequences, array (N, T, I) or (N, T), or list of arrays (T_i, I)
        Two sequences or more; best such as the network was not trained on, since what it learned by heart counts as
        used. Of a decoder, its sources; of a forecaster, its series, or a dict of what else its `fit` takes.
    y : targets, optional
        As for `fit`. Without them the used span is that of the outputs, and the needed span is not known, unless `lag`
        is given. A decoder cannot do without, and a forecaster has its own.
    lag : int, optional
        How far back inputs matter for the targets, if you know it; no more than there are steps. Otherwise it is
        estimated, see Notes.
    training_window : int, optional
        Steps that training saw together, if sequences were cut into windows for it.
    n_anchors : int
        Outputs at which gradients are measured.
    random_state : int, Generator, RandomState or None
        Seed of all that is drawn.
    verbose : int
        1 shows a bar with the time left, on standard error.

    Returns
    -------
    MemoryReport
        Print it, `show` it, `plot` it, or write it with `to_html`.

    Raises
    ------
    ParameterError
        An argument is outside what it may be, or the model is none that can be measured.
    DataError
        X or y cannot be read, or there is one sequence only.
    NotFittedError
        The estimator has not been fitted.

    Notes
    -----
    The needed span is estimated by small models that see the last W steps and nothing else, cross-validated: it is the
    smallest W with which they do as well as with any, within 3% of what they gain over a constant or two standard
    errors. It is a lower bound, for another kind of model might make use of what is older. Where the network
    does better than all of them, and uses more, what it uses is the better bound and is taken.

    Examples
    --------
    >>> from longspan import LSTMClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 20, 1))
    >>> y = X[:, -2, 0] > 0  # the step before the last one decides
    >>> classifier = LSTMClassifier(hidden_size=8, max_epochs=2, random_state=0).fit(X, y)
    >>> report = memory_report(classifier, X, y)
    >>> report.verdict, report.needed_span
    ('no_long_memory_needed', 2.0)
    """
    began = time.perf_counter()
    for name, value in (("lag", lag), ("training_window", training_window)):
        if value is not None:
            check_positive(name, value)
    subject = Subject.of(estimator)
    sequences, targets = subject.read_both(X, y)
    _check_lag(lag, sequences)
    study = _Study(subject, sequences, targets, as_seed(random_state), n_anchors)
    with Progress("memory", study.work(lag), shown=verbose > 0) as tick:
        found = study.measure(lag, tick)
    found = replace(found, training_window=training_window)
    name, advice = judge(found)
    return MemoryReport(
        **study.spans,
        training_window=training_window,
        intervals=study.intervals,
        at_least=tuple(study.at_least),
        curves=Curves(**study.curves),
        verdict=name,
        advice=advice,
        facts=study.facts(X) | {"seconds": time.perf_counter() - began},
        estimator=estimator,
        examples=study.examples(y),
    )


class Reach(NamedTuple):
    """How far back a gradient gets.

    Attributes
    ----------
    span : float or None
        The gradient span, infinite where the data show no end; None where there is no gradient.
    explodes_at : float or None
        Lag at which it is ten times what it is at lag 0.
    silent : bool
        No output changes with what the network carries.
    """

    span: float | None
    explodes_at: float | None
    silent: bool = False


class _Study:
    """Measures one thing after another, and collects what is found."""

    def __init__(
        self, subject: Subject, sequences: Sequences, targets: Targets | None, rng: np.random.Generator, n_anchors: int
    ) -> None:
        self.subject, self.sequences, self.targets, self.rng = subject, sequences, targets, rng
        longest = int(sequences.lengths.max(initial=1))
        draw = partial(draw_anchors, subject, sequences, targets, rng=rng)
        self.for_gradients = draw(at_most=_affordable(n_anchors, _STEPS_BACK, longest), spread=True)
        check_can_replace(self.for_gradients)
        self.anchors = draw(at_most=_affordable(_MOST_ANCHORS, _STEPS_AT_A_TIME, longest))
        self.curves: dict[str, Any] = {}
        self.spans: dict[str, float | None] = dict.fromkeys(SPANS)
        self.intervals: dict[str, tuple[float, float]] = {}
        self.at_least: list[str] = []
        self.needed_source: str | None = None

    def work(self, lag: int | None) -> int:
        """Return about how many ticks there will be."""
        windows = 0 if lag is not None or self.targets is None else 14
        return 2 + 2 * 14 + n_windows(self.anchors.longest) + 2 + windows

    def measure(self, lag: int | None, tick: Callable[[], None]) -> Findings:
        """Measure everything; return what the verdict is made from."""
        now = self._gradients("gradient_span", "gradient", "influence", self.subject)
        tick()
        fresh = self.subject.untrained(int(self.rng.integers(1 << 31)))
        at_init = self._gradients("gradient_span_at_init", "gradient_at_init", "influence_at_init", fresh)
        tick()
        self.losses = Losses(self.subject, self.anchors, self.targets)
        used = self._context(tick)
        self._state()
        tick()
        need = None if lag is not None or self.targets is None else self._windows(tick)
        needed = self._needed(lag, need, used)
        own = self.losses.score
        of_window = None if need is None else _score_at(need, needed)
        return Findings(
            gradient_span=np.inf if self.subject.attends else now.span,
            gradient_span_at_init=at_init.span,
            silent=now.silent,
            used_span=used,
            needed_span=needed,
            explodes_at=now.explodes_at,
            cell=self.subject.kind,
            chrono_lag=self.subject.chrono_lag,
            clip_norm=getattr(self.subject.estimator, "clip_norm", None),
            window_score=of_window,
            score=None if own is None else own[1],
            score_name="" if own is None else own[0],
            window_is_as_good=own is not None and of_window is not None and of_window >= own[1] - _AS_GOOD,
            has_targets=self.targets is not None,
            takes_targets=self.subject.task not in ("encode", "forecast"),
        )

    # Gradients --------------------------------------------------------------------------------------------------------

    def _gradients(self, span: str, gradient: str, influence: str, subject: Subject) -> Reach:
        """Measure G and I; of an output that does not change with what is carried there is no G."""
        norms = lag_norms(subject, self.for_gradients, self.rng)
        curve = None
        if norms.input is not None:
            self.curves[influence] = curve = influence_curve(norms)
        if norms.silent:
            return Reach(None, None, silent=True)
        if norms.state is not None:
            self.curves[gradient] = curve = state_curve(norms, subject, in_words(subject))
        if curve is None:
            return Reach(None, None)
        # Of a network without states, the gradient by the inputs has its end at the window.
        ends = [_end(curve, values) for values in (curve.median, curve.lower, curve.upper)]
        self.intervals[span] = (ends[1], ends[2])
        self.spans[span] = self._finite(span, ends[0], float(curve.lags[-1]) + subject.stride)
        # Where all steps are pooled, k of them are on the way to a state k steps back: no explosion, but a sum.
        limit = EXPLODED * np.where(subject.pools_all, curve.lags + 1.0, 1.0)
        return Reach(ends[0], None if norms.state is None else first_above(curve, limit))

    def _finite(self, name: str, span: float, longest: float) -> float:
        """Return a span as a number; one without an end is a lower bound."""
        if np.isfinite(span):
            return span
        self.at_least.append(name)
        return longest

    # Uses -------------------------------------------------------------------------------------------------------------

    def _context(self, tick: Callable[[], None]) -> float:
        """Measure ablation, shuffling and occlusion; return the used span."""
        curve, each = ablate(self.losses, self.rng, tick=tick)
        span, interval = used_span(curve, each, self.rng)
        self.curves["ablation"] = curve
        self.curves["shuffling"] = ablate(self.losses, self.rng, how="shuffle", context=_spread(curve), tick=tick)[0]
        self.curves["occlusion"] = occlude(self.losses, tick=tick)
        self.spans["used_span"], self.intervals["used_span"] = span, interval
        if span >= self.anchors.longest:
            self.at_least.append("used_span")
        return span

    def _state(self) -> None:
        """Measure gates and forgetting, where there are such."""
        cell = self.subject.cell
        if not isinstance(cell, Recurrent):
            return
        ends = self.subject.changed(per_step=False)
        few = draw_anchors(ends, self.sequences, None, at_most=min(_TRACED, len(self.anchors)), rng=self.rng)
        if self.subject.is_one_stream:
            self.curves["forgetting"] = measure_forgetting(self.subject, few)
        if isinstance(cell, RNN):
            return
        constants, self.curves["saturation"] = measure_gates(self.subject, few)
        self.curves["time_constants"] = constants
        self.spans["gate_span"] = constants.quantiles["50%"]
        self.intervals["gate_span"] = (constants.quantiles["25%"], constants.quantiles["75%"])

    # Needs ------------------------------------------------------------------------------------------------------------

    def _windows(self, tick: Callable[[], None]) -> Need:
        """Fit window models on some of the anchors."""
        count = min(_MOST_FOR_WINDOWS, len(self.anchors))
        self._for_windows = self.rng.permutation(len(self.anchors))[:count]
        need = needed_span(
            self.anchors.take(self._for_windows),
            self.targets,  # type: ignore[arg-type]
            self.rng,
            tick,
            groups=self.subject.groups(self.sequences),
            as_features=self.subject.as_features,
        )
        self.curves["window_models"] = need.curve
        return need

    def _needed(self, lag: int | None, need: Need | None, used: float) -> float | None:
        """Return the needed span, and remember where it comes from."""
        span: float | None = None
        if lag is not None:
            span, self.needed_source = float(lag), "given"
        elif need is not None:
            span, self.needed_source = need.span, "window models" if need.span is not None else None
            if span is not None:
                self.intervals["needed_span"] = need.interval
            if used > (span or 0) and self._knows_more(need):
                span, self.needed_source = used, "network"
                self.intervals["needed_span"] = self.intervals["used_span"]
            if span is not None:
                self.at_least.append("needed_span")
        self.spans["needed_span"] = span
        return span

    def _knows_more(self, need: Need) -> bool:
        """Whether the network does better than every window model, and than a constant."""
        gained = need.losses - self.losses.full[np.sort(self._for_windows)]
        error = float(gained.std(ddof=1)) / len(gained) ** 0.5 if len(gained) > 1 else np.inf
        return bool(gained.mean() > max(need.curve.tolerance, _SURE * error))

    # What was looked at -----------------------------------------------------------------------------------------------

    def facts(self, X: Any) -> dict[str, Any]:
        """Return what was looked at, in plain values."""
        subject, lengths = self.subject, self.sequences.lengths
        config, cell = getattr(subject.network, "config", None), subject.cell
        score = self.losses.score
        return {
            "estimator": type(subject.estimator if subject.estimator is not None else subject.network).__name__,
            "task": subject.task,
            "cell": subject.kind,
            "hidden_size": cell.hidden_size,
            "num_layers": cell.num_layers,
            "bidirectional": subject.reads_backwards,
            "pooling": getattr(config, "pooling", None),
            "stride": subject.stride,
            "parameters": sum(parameter.numel() for parameter in subject.network.parameters()),
            "n_sequences": len(lengths),
            "shortest": int(lengths.min()),
            "longest": int(lengths.max()),
            "n_features": self.sequences.n_features,
            "feature_names": subject.channel_names(X, self.sequences),
            "n_anchors": len(self.anchors),
            "n_gradient_anchors": len(self.for_gradients),
            "loss": self.losses.full_loss if self.targets is not None else None,
            "unit": self.losses.unit,
            "score": None if score is None else score[1],
            "score_name": None if score is None else score[0],
            "measured": in_words(subject),
            "needed_source": self.needed_source,
            "device": str(subject.device),
        }

    def examples(self, y: Any) -> tuple[Example, ...]:
        """Return a few sequences with their targets as they were passed."""
        count = min(_EXAMPLES, len(self.sequences))
        numbers = np.sort(self.rng.permutation(len(self.sequences))[:count]).tolist()
        rows = getattr(y, "iloc", y)
        return tuple(
            Example(np.array(self.sequences[number]), None if y is None else rows[number], number) for number in numbers
        )


def _check_lag(lag: int | None, sequences: Sequences) -> None:
    longest = int(sequences.lengths.max(initial=0))
    if lag is not None and lag > longest:
        raise ParameterError(
            f"lag is {lag}, but the longest sequence has {longest} steps, so that nothing can be seen so far back.\n"
            f"  Pass longer sequences; if they were cut for training, whole ones, and training_window."
        )


def _affordable(wanted: int, steps: int, longest: int) -> int:
    """Return how many anchors of so many steps may be looked at."""
    check_positive("n_anchors", wanted)
    return min(wanted, max(_FEWEST, steps // longest))


def _end(curve: LagCurve, values: Array) -> float:
    """Return the first lag at which a gradient has vanished: relative to lag 0, or of inputs to the largest."""
    largest = float(curve.median.max(initial=0.0)) if curve.measured == "the inputs" else 1.0
    return first_below(curve, values, VANISHED * largest) if largest > 0 else 0.0


def _spread(curve: ContextCurve) -> NDArray[np.int64]:
    """Return about every second context that was measured."""
    return curve.context[:: 2 if len(curve.context) > 12 else 1]


def _score_at(need: Need, span: float | None) -> float | None:
    """Return the score of the window model with the needed window."""
    if span is None:
        return None
    place = int(np.abs(need.curve.windows - span).argmin())
    return float(need.curve.score[place])
