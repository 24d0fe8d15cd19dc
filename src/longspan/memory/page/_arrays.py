"""Arrays that travel inside the page: base64 of little-endian numbers, whole or spread over 8 or 16 bits."""

from base64 import b64encode
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

Packed = dict[str, Any]


def pack(values: ArrayLike) -> Packed:
    """Return an array as float32, with its shape.

    Examples
    --------
    >>> pack([1.0, 2.0])
    {'type': 'f4', 'shape': [2], 'base64': 'AACAPwAAAEA='}
    """
    array = np.asarray(values)
    return {"type": "f4", "shape": list(array.shape), "base64": _base64(array.astype("<f4"))}


def pack_small(values: ArrayLike, bits: int = 8) -> Packed:
    """Return an array as whole numbers of 8 or 16 bits, spread evenly from its lowest to its highest value.

    The error is at most half of ``(high - low) / (2 ** bits - 1)``.

    Examples
    --------
    >>> pack_small([0.0, 0.5, 1.0])
    {'type': 'u1', 'shape': [3], 'base64': 'AID/', 'low': 0.0, 'high': 1.0}
    """
    array = np.asarray(values, dtype=np.float64)
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    top = 2**bits - 1
    spread = np.rint((array - low) * (top / (high - low))) if high > low else np.zeros(array.shape)
    packed = _base64(spread.astype("<u1" if bits == 8 else "<u2"))
    return {"type": f"u{bits // 8}", "shape": list(array.shape), "base64": packed, "low": low, "high": high}


def _base64(array: np.ndarray[Any, Any]) -> str:
    return b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
