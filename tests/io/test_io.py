"""The facade of `longspan.io`."""

import pytest

import longspan.io


def test_every_name_is_there_and_listed() -> None:
    assert dir(longspan.io) == longspan.io.__all__ == sorted(longspan.io.__all__)
    for name in longspan.io.__all__:
        assert getattr(longspan.io, name).__name__ == name


def test_another_name_is_not() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'read_excel'"):
        _ = longspan.io.read_excel  # type: ignore[attr-defined]
