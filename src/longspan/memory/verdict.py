"""The verdict: what the spans mean together, in words."""

from __future__ import annotations

from dataclasses import dataclass

VERDICTS = {
    "exploding_gradient": "gradients explode",
    "training_window_too_short": "training never sees the dependency",
    "no_long_memory_needed": "no long memory is needed",
    "vanishing_gradient": "gradients vanish before they reach what matters",
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
        In steps; infinite where the data show no end.
    training_window : int or None
        Steps that training sees together; None for whole sequences.
    explodes_at : float or None
        Lag at which the gradient is ten times what it is at lag 0.
    cell : {"lstm", "rnn", "gru", "feedforward"}
        What runs over the steps.
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
    training_window: int | None = None
    explodes_at: float | None = None
    cell: str = "lstm"
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
    # What carries no state has no gradient that could vanish on its way: what it uses is what it sees.
    arrives = gradient is None or gradient >= NEAR * need
    remembers = used >= NEAR * need
    if arrives and remembers:
        return "memory_suffices"
    if remembers:
        return "latched"
    return "unused_signal" if arrives and gradient is not None else "vanishing_gradient"


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


def _exploding(found: Findings) -> str:
    clip = "clip them by their norm: clip_norm=1.0"
    if found.clip_norm is not None:
        clip = f"training clips them by their norm, to {found.clip_norm:g}; try a smaller clip_norm or learning rate"
    return f"Gradients explode: {steps(found.explodes_at)} back they are ten times as large as at the output. {clip}."


def _window_too_short(found: Findings) -> str:
    return (
        f"Training sees {steps(found.training_window)} at a time, and your targets depend on inputs about "
        f"{steps(found.needed_span)} back, so it never sees the dependency. Train on longer windows, or on all of it."
    )


def _vanishing(found: Findings) -> str:
    need = steps(found.needed_span)
    if found.cell == "feedforward":
        return (
            f"A feed-forward network sees its window and nothing older: it uses {steps(found.used_span)}, and your "
            f'targets depend on inputs about {need} back. Set cell="lstm", or a window of at least {need}.'
        )
    lag = f"{found.needed_span:.0f}"
    advice = f'Set init="chrono" with max_lag={lag}'
    advice += "." if found.cell == "lstm" else f', and cell="lstm" in place of {found.cell!r}.'
    return (
        f"Gradients vanish after about {steps(found.gradient_span)}; your targets depend on inputs about {need} back, "
        f"and the network uses {steps(found.used_span)}. {advice}"
    )


def _unused(found: Findings) -> str:
    arrives = "every step there is" if found.gradient_span == float("inf") else f"{steps(found.gradient_span)} back"
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
    gradient = "" if found.gradient_span is None else f", gradients reach {steps(found.gradient_span)}"
    used = steps(found.used_span)
    return f"The memory suffices: {steps(found.needed_span)} are needed{gradient}, and {used} are used."


def _short(found: Findings) -> str:
    advice = f"No long memory is needed: the last {steps(found.needed_span)} decide."
    if found.window_score is None:
        return advice
    advice += f" A model that sees them and nothing else reaches {found.score_name} {found.window_score:.3f}"
    if found.score is not None:
        advice += f", this network {found.score:.3f}"
    if found.window_is_as_good:
        return advice + '. Prefer the simpler one, such as cell="feedforward" with that window.'
    return advice + "."


def _unknown(found: Findings) -> str:
    gradient = "" if found.gradient_span is None else f" and gradients reach {steps(found.gradient_span)}"
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
    "unused_signal": _unused,
    "latched": _latched,
    "memory_suffices": _suffices,
    "need_unknown": _unknown,
}
