"""The verdict: what the spans mean together, in words."""

from __future__ import annotations

from dataclasses import dataclass

VERDICTS = {
    "exploding_gradient": "gradients explode",
    "training_window_too_short": "training never sees the dependency",
    "no_long_memory_needed": "no long memory is needed",
    "vanishing_gradient": "gradients vanish before they reach what matters",
    "network_window_too_short": "the network sees a window shorter than what matters",
    "unused_signal": "the signal arrives, and is not used",
    "latched": "the model remembers, but learning more would be slow",
    "memory_suffices": "the memory suffices",
    "need_unknown": "how far back it should look is not known",
}
"""Each rule by its name, with the headline of its verdict."""

SHORT = 10
"""Steps: what lies no further back needs no long memory."""

NEAR = 0.9
"""Share of the needed span that counts as all of it: no span is known to the step."""


@dataclass(frozen=True)
class Findings:
    """What the rules look at.

    Attributes
    ----------
    gradient_span, used_span, needed_span : float or None
        In steps; infinite where the data show no end. Without a gradient to follow there is no gradient span.
    gradient_span_at_init : float or None
        The same before training.
    silent : bool
        No output changes with what the network carries.
    training_window : int or None
        Steps that training sees together; None for whole sequences.
    explodes_at : float or None
        Lag at which the gradient is ten times what it is at lag 0.
    cell : {"lstm", "rnn", "gru", "feedforward"}
        What runs over the steps.
    chrono_lag : int or None
        Lag for which its gates were initialised, if they were so.
    clip_norm : float or None
        Norm to which training clips the gradient, where it is known.
    window_score, score : float or None
        Score of the best window model, and of the network, on the same data.
    score_name : str
        What they are.
    window_is_as_good : bool
        Whether the window model's score is no worse.
    has_targets, takes_targets : bool
        Whether there were targets to learn the needed span from, and whether there could be.
    """

    gradient_span: float | None
    used_span: float | None
    needed_span: float | None
    gradient_span_at_init: float | None = None
    silent: bool = False
    training_window: int | None = None
    explodes_at: float | None = None
    cell: str = "lstm"
    chrono_lag: int | None = None
    clip_norm: float | None = None
    window_score: float | None = None
    score: float | None = None
    score_name: str = ""
    window_is_as_good: bool = False
    has_targets: bool = False
    takes_targets: bool = True


def judge(found: Findings) -> tuple[str, str]:
    """Return the name of the first rule that matches, and what it means here.

    Examples
    --------
    >>> judge(Findings(gradient_span=40, used_span=35, needed_span=200, cell="rnn"))[0]
    'vanishing_gradient'
    """
    name = _rule(found)
    return name, _ADVICE[name](found)


def _rule(found: Findings) -> str:
    need, gradient, used = found.needed_span, found.gradient_span, found.used_span
    if found.explodes_at is not None:
        return "exploding_gradient"
    if need is None or used is None:
        return "need_unknown"
    if found.training_window is not None and found.training_window < NEAR * need:
        return "training_window_too_short"
    if need <= SHORT:
        return "no_long_memory_needed"
    far = NEAR * need
    stateless = found.cell == "feedforward"
    if used >= far:
        # What carries no state has none that could be held fast: what it uses is what it sees.
        return "memory_suffices" if stateless or gradient is None or gradient >= far else "latched"
    reach = found.gradient_span_at_init if gradient is None else gradient
    if reach is not None and reach >= far:
        return "unused_signal"
    return "network_window_too_short" if stateless else "vanishing_gradient"


def steps(span: float | None) -> str:
    """Return a span in words.

    Examples
    --------
    >>> steps(1), steps(1234.4), steps(float("inf")), steps(None)
    ('1 step', '1,234 steps', 'every step there is', 'an unknown number of steps')
    """
    if span is None:
        return "an unknown number of steps"
    if span == float("inf"):
        return "every step there is"
    return f"{span:,.0f} step" + ("" if round(span) == 1 else "s")


def _follows(found: Findings) -> bool:
    """Whether there is a gradient that goes from state to state."""
    return found.gradient_span is not None and found.cell != "feedforward"


def _exploding(found: Findings) -> str:
    clip = "Clip them by their norm: clip_norm=1.0"
    if found.clip_norm is not None:
        clip = f"Training clips them by their norm, to {found.clip_norm:g}; try a smaller clip_norm or learning rate"
    return f"Gradients explode: {steps(found.explodes_at)} back they are ten times as large as at the output. {clip}."


def _window_too_short(found: Findings) -> str:
    return (
        f"Training sees {steps(found.training_window)} at a time, and your targets depend on inputs about "
        f"{steps(found.needed_span)} back, so it never sees the dependency. Train on longer windows, or on all of it."
    )


def _vanishing(found: Findings) -> str:
    need, lag = steps(found.needed_span), f"{found.needed_span:.0f}"
    advice = f'Set init="chrono" with max_lag={lag}'
    if found.cell != "lstm":
        advice += f', and cell="lstm" in place of {found.cell!r}'
    elif found.chrono_lag is not None and found.chrono_lag >= NEAR * (found.needed_span or 0):
        advice = (
            "Its gates were made for that lag: begin with sequences of shorter lags, or shorten the way with a stem"
        )
    when = "Gradients vanish after" if found.gradient_span is not None else "Before training, gradients vanished after"
    reach = found.gradient_span_at_init if found.gradient_span is None else found.gradient_span
    return (
        f"{when} about {steps(reach)}; your targets depend on inputs about {need} back, and the network uses "
        f"{steps(found.used_span)}. {advice}."
    )


def _network_window_too_short(found: Findings) -> str:
    need = steps(found.needed_span)
    return (
        f"A feed-forward network sees its window and nothing older: it uses {steps(found.used_span)}, and your targets "
        f'depend on inputs about {need} back. Set cell="lstm", or a window of at least {need}.'
    )


def _unused(found: Findings) -> str:
    reach = found.gradient_span_at_init if found.gradient_span is None else found.gradient_span
    arrives = "every step there is" if reach == float("inf") else f"{steps(reach)} back"
    if found.silent:
        return (
            f"What the network carries makes no difference to its output. Before training the gradient reached "
            f"{arrives}, far enough for the {steps(found.needed_span)} that matter: train longer, or with another "
            f"learning rate."
        )
    return (
        f"The gradient reaches {arrives}, far enough for the {steps(found.needed_span)} that matter, but the network "
        f"uses {steps(found.used_span)}. It can learn this and has not: train longer, with more units, less dropout or "
        f"more data."
    )


def _latched(found: Findings) -> str:
    return (
        f"The network remembers: it uses {steps(found.used_span)}, and {steps(found.needed_span)} are needed. "
        f"Gradients vanish after about {steps(found.gradient_span)}, as they do where a state is held fast, so "
        f"learning more at that lag would be slow."
    )


def _suffices(found: Findings) -> str:
    gradient = f", gradients reach {steps(found.gradient_span)}" if _follows(found) else ""
    used = steps(found.used_span)
    return f"The memory suffices: {steps(found.needed_span)} are needed{gradient}, and {used} are used."


def _short(found: Findings) -> str:
    last = "step decides" if round(found.needed_span or 0) == 1 else f"{steps(found.needed_span)} decide"
    uses_more = found.score is not None and (found.used_span or 0) > (found.needed_span or 0)
    if uses_more and found.window_score is not None and not found.window_is_as_good:
        return (
            f"No long memory is needed: the last {last} nearly all. A model that sees them and nothing else reaches "
            f"{found.score_name} {found.window_score:.3f}; this network, which uses {steps(found.used_span)}, "
            f"{found.score:.3f}."
        )
    advice = f"No long memory is needed: the last {last}."
    if found.window_score is None:
        return advice
    advice += f" A model that sees them and nothing else reaches {found.score_name} {found.window_score:.3f}"
    if found.score is not None:
        advice += f", this network {found.score:.3f}"
    if found.window_is_as_good:
        return advice + '. Prefer the simpler one, such as cell="feedforward" with that window.'
    return advice + "."


def _unknown(found: Findings) -> str:
    gradient = f" and gradients reach {steps(found.gradient_span)}" if _follows(found) else ""
    known = f"The network uses {steps(found.used_span)}{gradient}. How far back it should look is not known"
    if found.has_targets:
        return (
            f"{known}: neither a small model of the last steps, however many, nor the network does better than a "
            f"constant on these data. Pass the lag if you know it."
        )
    return f"{known}: pass {'the targets y, or ' if found.takes_targets else ''}the lag if you know it."


_ADVICE = {
    "exploding_gradient": _exploding,
    "training_window_too_short": _window_too_short,
    "no_long_memory_needed": _short,
    "vanishing_gradient": _vanishing,
    "network_window_too_short": _network_window_too_short,
    "unused_signal": _unused,
    "latched": _latched,
    "memory_suffices": _suffices,
    "need_unknown": _unknown,
}
