"""What a case gives: records, one for each thing measured, and what a run was asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.kernels.reference import RedCheckError
from benchmarks.kernels.timing import FULL, QUICK, Effort

Record = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """How thorough a run is."""

    quick: bool = False

    @property
    def effort(self) -> Effort:
        """How long each contest lasts."""
        return QUICK if self.quick else FULL


class NotThereError(Exception):
    """What is to be measured does not exist in this installation."""


def measured(case: str, what: dict[str, Any], measure: Callable[[], dict[str, Any]]) -> Record:
    """Return a record of a measurement, of the check that was red, or of what there is not."""
    record: Record = {"case": case, **what}
    try:
        return record | measure()
    except RedCheckError as error:
        return record | {"red": str(error)}
    except NotThereError as error:
        return record | {"not measured": str(error)}
