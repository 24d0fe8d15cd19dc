"""The rules of the verdict, one after another."""

from typing import Any

import pytest

from longspan.memory.verdict import VERDICTS, Findings, judge, steps

INF = float("inf")


def found(**parts: Any) -> Findings:
    """A network that suffices, but for the parts that are given."""
    return Findings(**{"gradient_span": 300.0, "used_span": 250.0, "needed_span": 200.0, **parts})


RULES: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("exploding_gradient", {"explodes_at": 30.0}, ("30 steps", "ten times")),
    ("exploding_gradient", {"explodes_at": 30.0, "clip_norm": 1.0}, ("to 1", "smaller clip_norm")),
    ("exploding_gradient", {"explodes_at": 30.0, "training_window": 50, "needed_span": 3.0}, ("30 steps",)),
    ("training_window_too_short", {"training_window": 50}, ("50 steps", "200 steps")),
    ("no_long_memory_needed", {"needed_span": 3.0}, ("3 steps",)),
    ("no_long_memory_needed", {"needed_span": 1.0, "gradient_span": 0.0, "used_span": 0.0}, ("the last step decides",)),
    (
        "no_long_memory_needed",
        {"needed_span": 3.0, "window_score": 0.95, "score": 0.9, "score_name": "accuracy", "window_is_as_good": True},
        ("accuracy 0.950", "this network 0.900", "Prefer the simpler"),
    ),
    ("vanishing_gradient", {"gradient_span": 40.0, "used_span": 45.0}, ("40 steps", "200 steps", "max_lag=200")),
    ("vanishing_gradient", {"gradient_span": 40.0, "used_span": 45.0, "cell": "rnn"}, ('cell="lstm" in place of',)),
    (
        "vanishing_gradient",
        {"gradient_span": 40.0, "used_span": 45.0, "chrono_lag": 200},
        ("made for that lag", "shorter lags"),
    ),
    (
        "vanishing_gradient",
        {"gradient_span": None, "gradient_span_at_init": 40.0, "silent": True, "used_span": 0.0},
        ("Before training, gradients vanished after about 40 steps",),
    ),
    (
        "network_window_too_short",
        {"gradient_span": 16.0, "used_span": 16.0, "cell": "feedforward"},
        ("window of at least 200", "uses 16 steps"),
    ),
    (
        "network_window_too_short",
        {"gradient_span": None, "used_span": 16.0, "cell": "feedforward"},
        ("window of at least 200",),
    ),
    ("unused_signal", {"gradient_span": 300.0, "used_span": 16.0, "cell": "feedforward"}, ("300 steps back",)),
    (
        "unused_signal",
        {"gradient_span": None, "gradient_span_at_init": INF, "silent": True, "used_span": 0.0},
        ("makes no difference", "every step there is", "train longer"),
    ),
    (
        "no_long_memory_needed",
        {"needed_span": 4.0, "used_span": 23.0, "window_score": 0.92, "score": 0.99, "score_name": "accuracy"},
        ("the last 4 steps decide nearly all", "which uses 23 steps, 0.990"),
    ),
    ("memory_suffices", {"gradient_span": 16.0, "cell": "feedforward"}, ("200 steps are needed, and 250",)),
    ("unused_signal", {"used_span": 20.0}, ("300 steps back", "uses 20 steps", "train longer")),
    ("unused_signal", {"used_span": 20.0, "gradient_span": INF}, ("every step there is",)),
    ("latched", {"gradient_span": 40.0}, ("remembers", "40 steps", "slow")),
    ("memory_suffices", {}, ("200 steps are needed", "300 steps", "250 steps are used")),
    ("memory_suffices", {"gradient_span": None}, ("200 steps are needed, and 250",)),
    ("memory_suffices", {"training_window": 190}, ("suffices",)),  # near enough
    ("need_unknown", {"needed_span": None}, ("pass the targets y",)),
    ("need_unknown", {"needed_span": None, "takes_targets": False}, ("known: pass the lag if",)),
    ("need_unknown", {"needed_span": None, "has_targets": True}, ("than a constant", "Pass the lag")),
]


@pytest.mark.parametrize(("name", "parts", "words"), RULES, ids=[f"{n}-{rule[0]}" for n, rule in enumerate(RULES)])
def test_the_first_rule_that_matches_decides(name: str, parts: dict[str, Any], words: tuple[str, ...]) -> None:
    verdict, advice = judge(found(**parts))
    assert verdict == name
    assert verdict in VERDICTS
    assert advice.endswith(".")
    for part in words:
        assert part in advice


def test_every_verdict_has_a_rule_that_is_tested() -> None:
    assert {rule[0] for rule in RULES} == set(VERDICTS)


@pytest.mark.parametrize("share", [0.91, 1.0, 1.5])
def test_spans_count_as_far_enough_from_nine_tenths(share: float) -> None:
    assert judge(found(gradient_span=share * 200, used_span=share * 200))[0] == "memory_suffices"


def test_spans_count_as_too_short_below_nine_tenths() -> None:
    assert judge(found(gradient_span=179.0, used_span=179.0))[0] == "vanishing_gradient"


def test_ten_steps_are_short_and_eleven_are_not() -> None:
    assert judge(found(needed_span=10.0))[0] == "no_long_memory_needed"
    assert judge(found(needed_span=11.0))[0] == "memory_suffices"


def test_steps_are_written_out() -> None:
    assert [steps(span) for span in (0, 1, 2, 1e6)] == ["0 steps", "1 step", "2 steps", "1,000,000 steps"]
