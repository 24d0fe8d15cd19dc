"""Values of options, read from text."""

from typing import Any

_WORDS: dict[str, Any] = {"none": None, "true": True, "yes": True, "false": False, "no": False}


def read_value(text: str) -> Any:
    """Return a word as None, a bool or a number, if it is one.

    Examples
    --------
    >>> read_value("none"), read_value("8"), read_value("1e-3"), read_value("auto")
    (None, 8, 0.001, 'auto')
    """
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def read_tuple(text: str) -> Any:
    """Return "auto", None, or a tuple of what commas divide.

    Examples
    --------
    >>> read_tuple("2,2"), read_tuple("level"), read_tuple("none")
    ((2, 2), ('level',), None)
    """
    if text.lower() in ("auto", "none"):
        return read_value(text.lower())
    return tuple(read_value(part.strip()) for part in text.split(","))


def read_assignments(text: str) -> dict[str, Any]:
    """Return a dict of ``name=value`` pairs.

    Examples
    --------
    >>> read_assignments("peephole=true,zoneout=0.1")
    {'peephole': True, 'zoneout': 0.1}
    """
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(name.strip() and equals and value for name, equals, value in pairs):
        raise ValueError(f"must be name=value, several joined by commas, but it was {text!r}.")
    return {name.strip(): read_value(value.strip()) for name, _, value in pairs}


def read_class_weight(text: str) -> Any:
    """Return "balanced", None, or a dict of weights by class, each as text.

    Examples
    --------
    >>> read_class_weight("balanced"), read_class_weight("0=1,1=2.5")
    ('balanced', {'0': 1, '1': 2.5})
    """
    return read_value(text.lower()) if text.lower() in ("balanced", "none") else read_assignments(text)


def split_names(texts: list[str] | None) -> tuple[str, ...]:
    """Return the names in options that may be repeated, and may join several by commas.

    Examples
    --------
    >>> split_names(["x,y", "z"])
    ('x', 'y', 'z')
    """
    return tuple(name for text in texts or () for name in text.split(",") if name)


def read_levels(text: str) -> tuple[Any, ...]:
    """Return levels of quantiles.

    Examples
    --------
    >>> read_levels("0.05, 0.5,0.95")
    (0.05, 0.5, 0.95)
    """
    return tuple(read_value(part.strip()) for part in text.split(",") if part.strip())
