"""Problems by the names that people type."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from longspan.errors import ParameterError
from longspan.problems.copying import Copy, VariableCopy
from longspan.problems.digits import MNIST1D, PixelDigits
from longspan.problems.long_lags import Distractors, NoiseFree, Noisy
from longspan.problems.marked_pairs import Adding, Adding1997, Multiplication, Multiplication1997
from longspan.problems.problem import Problem
from longspan.problems.reber import ContinualReber, EmbeddedReber
from longspan.problems.temporal_order import TemporalOrder, TemporalOrder3
from longspan.problems.two_sequence import TwoNoisySequences, TwoSequence, TwoSequenceNoisyTargets

_ALL: tuple[type[Problem], ...] = (
    Adding,
    Multiplication,
    Copy,
    VariableCopy,
    TemporalOrder,
    TemporalOrder3,
    EmbeddedReber,
    ContinualReber,
    NoiseFree,
    Noisy,
    Distractors,
    TwoSequence,
    TwoNoisySequences,
    TwoSequenceNoisyTargets,
    Adding1997,
    Multiplication1997,
    MNIST1D,
    PixelDigits,
)

PROBLEMS: Mapping[str, type[Problem]] = MappingProxyType({problem.name: problem for problem in _ALL})
"""Every problem, by its name."""


def make_problem(name: str, **parameters: Any) -> Problem:
    """Make a problem by its name.

    Parameters
    ----------
    name : str
        One of `PROBLEMS`.
    **parameters
        Its parameters; those left out, or None, have their defaults.

    Raises
    ------
    ParameterError
        If there is no such problem, or it has no such parameter, or the parameter is outside what it may be.

    Examples
    --------
    >>> make_problem("copy", length=50)
    Copy(length=50)
    """
    if name not in PROBLEMS:
        near = difflib.get_close_matches(name, PROBLEMS, n=1)
        hint = f"  Did you mean {near[0]!r}? " if near else "  "
        raise ParameterError(f"there is no problem {name!r}.\n{hint}There are: {', '.join(PROBLEMS)}.")
    given = {parameter: value for parameter, value in parameters.items() if value is not None}
    known = [field.name for field in fields(PROBLEMS[name])]  # type: ignore[arg-type]  # all are dataclasses
    for parameter in given:
        if parameter not in known:
            has = f"its parameters are {', '.join(known)}" if known else "it has no parameters"
            raise ParameterError(f"the problem {name!r} has no parameter {parameter!r}: {has}.")
    return PROBLEMS[name](**given)
