"""Every error that longspan raises on purpose, and every warning.

::

    LongspanError
    ├── DataError (ValueError)            something is wrong with what was passed in
    │   ├── ShapeError                    wrong number of axes, features or rows
    │   ├── NonFiniteError                NaN or infinity where numbers are needed
    │   ├── EmptyDataError                no sequences, or a sequence without steps
    │   ├── TargetError                   targets that do not fit the sequences or the task
    │   ├── TableError                    a column is missing, not numeric, or contradicts itself
    │   └── FormatError                   a data file that does not follow its format
    ├── ParameterError (ValueError)       an argument outside what it may be
    ├── DataFileNotFoundError (FileNotFoundError)
    ├── ModelFileError (ValueError)       a model file that is foreign, damaged or too new
    ├── TrainingError (RuntimeError)      training could not go on
    └── MissingDependencyError (ImportError)

    LongspanWarning (UserWarning)
    ├── LayoutWarning                     the axes look swapped
    └── TrainingWarning                   training ended in a way worth knowing

Each also derives from the built-in exception in brackets, so ``except ValueError`` keeps working.
A message says what happened, what was read, and what to try.
"""


class LongspanError(Exception):
    """Base of every error that longspan raises on purpose."""


class DataError(LongspanError, ValueError):
    """The data passed in cannot be used as they are."""


class ShapeError(DataError):
    """An array has the wrong number of axes, features or rows."""


class NonFiniteError(DataError):
    """NaN or infinity stands where a number is needed."""


class EmptyDataError(DataError):
    """There are no sequences, or a sequence has no steps."""


class TargetError(DataError):
    """The targets do not fit the sequences, or do not fit the task."""


class TableError(DataError):
    """A table lacks a column, or its rows contradict each other."""


class FormatError(DataError):
    """A data file does not follow its format."""


class ParameterError(LongspanError, ValueError):
    """An argument is outside the values it may take."""


class DataFileNotFoundError(LongspanError, FileNotFoundError):
    """A data or model file is not where it was said to be."""


class ModelFileError(LongspanError, ValueError):
    """A model file is foreign, damaged, or written by a newer longspan."""


class TrainingError(LongspanError, RuntimeError):
    """Training could not go on, and no usable network came out of it."""


class MissingDependencyError(LongspanError, ImportError):
    """A package that this feature needs is not installed.

    Parameters
    ----------
    package : str
        Name of the module that could not be imported.
    extra : str
        The extra of longspan that installs it.
    purpose : str
        What it was needed for, as the end of the sentence "... needed to".
    """

    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        super().__init__(
            f"the package {package!r} is needed to {purpose}, and it is not installed.\n"
            f'  Install it with:  pip install "longspan[{extra}]"'
        )


class LongspanWarning(UserWarning):
    """Base of every warning that longspan gives."""


class LayoutWarning(LongspanWarning):
    """The axes of an array look swapped."""


class TrainingWarning(LongspanWarning):
    """Training ended in a way worth knowing."""
