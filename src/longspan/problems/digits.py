"""Digits, read step by step: drawn as curves of one dimension, and as pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from longspan.problems.problem import Criterion, Problem, entropy
from longspan.problems.sample import Sample, equal_offsets

# Curves of the ten digits, as published.
_TEMPLATES = (
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)
_LEAST_PADDING, _MOST_PADDING = 36, 60
_DRAWN = len(_TEMPLATES[0]) + _MOST_PADDING
_SCALE, _SHEAR, _MAX_TRANSLATION = 0.4, 0.75, 48
_SMOOTH_NOISE, _NOISE, _SIGMA = 0.25, 0.02, 2.0
_STEPS = 40
_SEEN = 1e-8  # added to a curve, so that it can be told from what surrounds it
_MEAN, _STD = -0.0060, 0.1546  # of a large number of such draws


@dataclass(frozen=True)
class _TenDigits(Problem):
    classes: ClassVar[bool] = True

    @property
    def input_size(self) -> int:
        """One number."""
        return 1

    @property
    def output_size(self) -> int:
        """Ten classes."""
        return 10


@dataclass(frozen=True)
class MNIST1D(_TenDigits):
    """Tell ten digits apart that are drawn as curves of 40 steps, by the published recipe of MNIST-1D.

    Each of ten curves is padded, stretched, scaled, moved, laid on smooth noise, sheared and sampled at 40 steps. The
    published data set is 5,000 such draws; here they are drawn anew each time.

    References
    ----------
    Greydanus & Kobak 2024, "Scaling down deep learning with MNIST-1D". Published there, on 4,000 curves to learn from:
    logistic regression .32, a multilayer perceptron .68, a GRU .91, a convolutional network .94, people .96.

    Examples
    --------
    >>> MNIST1D().generate(3, np.random.default_rng(0)).inputs
    Sequences(3 sequences, 40 steps, 1 feature, 0.0 MB)
    """

    name: ClassVar[str] = "mnist1d"
    title: ClassVar[str] = "tell ten digits apart that are drawn as curves"
    source: ClassVar[str] = "Greydanus & Kobak 2024"

    @property
    def lag(self) -> int:
        """All steps but one, as the curve may begin at the first."""
        return _STEPS - 1

    @property
    def constant_loss(self) -> float:
        """Entropy of ten equal classes."""
        return math.log(10)

    @property
    def criterion(self) -> Criterion:
        """9 of 10 fresh curves told right."""
        return Criterion(over=2000, right="told right", wrong=200)

    def _draw(self, n: int, rng: np.random.Generator) -> Sample:
        digits = rng.integers(0, 10, n)
        curves = _stretched(_templates()[digits] + _SEEN, rng.integers(_LEAST_PADDING, _MOST_PADDING + 1, n))
        curves *= 1 + _SCALE * (rng.random((n, 1)) - 0.5)
        curves = np.take_along_axis(curves, _moved(rng.integers(0, _MAX_TRANSLATION, n)), axis=1)
        noise = _SMOOTH_NOISE * rng.standard_normal(curves.shape) @ _smoothing().T
        curves = np.where(curves == 0, noise, curves) + _NOISE * rng.standard_normal(curves.shape)
        curves -= _SHEAR * (rng.random((n, 1)) - 0.5) * np.linspace(-0.5, 0.5, _DRAWN)
        sampled = _at(curves, np.broadcast_to(np.linspace(0, _DRAWN - 1, _STEPS), (n, _STEPS)))
        values = ((sampled - _MEAN) / _STD).astype(np.float32)
        return Sample(equal_offsets(n, _STEPS), digits, values.reshape(-1, 1))


@dataclass(frozen=True)
class PixelDigits(_TenDigits):
    """Tell ten handwritten digits apart, of which one pixel is seen at each of 64 steps, row by row.

    The 1,797 images of scikit-learn. One in five, always the same ones, is held out to judge by; `generate` draws from
    the others, with replacement.

    References
    ----------
    Alpaydin & Kaynak 1998, "Optical recognition of handwritten digits", UCI Machine Learning Repository; read pixel by
    pixel as Le, Jaitly & Hinton 2015 read larger ones.
    """

    name: ClassVar[str] = "digits"
    title: ClassVar[str] = "tell ten handwritten digits apart, pixel by pixel"
    source: ClassVar[str] = "Alpaydin & Kaynak 1998; Le, Jaitly & Hinton 2015"

    @property
    def lag(self) -> int:
        """All steps but one, as the first pixel may matter."""
        return 63

    @property
    def constant_loss(self) -> float:
        """Entropy of the classes of all images."""
        return entropy(np.bincount(_images()[1]) / len(_images()[1]))

    @property
    def criterion(self) -> Criterion:
        """95 of 100 images that are held out told right."""
        held_out = len(_split()[1])
        return Criterion(over=held_out, right="held out told right", wrong=held_out // 20)

    def held_out(self, n: int, rng: np.random.Generator) -> Sample:
        """Return `n` of the images that are held out, all of them and some twice if `n` is larger."""
        order = rng.permutation(_split()[1])
        return _of_images(np.resize(order, n))

    def _draw(self, n: int, rng: np.random.Generator) -> Sample:
        return _of_images(rng.choice(_split()[0], n))


@cache
def _templates() -> NDArray[np.float64]:
    """Return the ten curves, shape (10, 12): standardised, and from 0 to 0."""
    curves = np.array(_TEMPLATES)
    curves = (curves - curves.mean(axis=1, keepdims=True)) / curves.std(axis=1, keepdims=True)
    from_zero: NDArray[np.float64] = (curves - curves[:, :1]) / 6.0
    return from_zero


def _at(curves: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each curve between its points, linearly, at `places` counted in points."""
    left = np.minimum(places.astype(np.int64), curves.shape[1] - 2)
    share = places - left
    low, high = (np.take_along_axis(curves, left + side, axis=1) for side in (0, 1))
    between: NDArray[np.float64] = low + share * (high - low)
    return between


def _stretched(curves: NDArray[np.float64], padding: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return curves after which so many zeros follow, all drawn over 72 points."""
    padded = np.pad(curves, ((0, 0), (0, _MOST_PADDING)))
    points = curves.shape[1] + padding[:, None]
    return _at(padded, np.linspace(0, 1, _DRAWN) * (points - 1))


def _moved(by: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return which points to take so that each curve is moved right around the circle."""
    points: NDArray[np.int64] = (np.arange(_DRAWN) - by[:, None]) % _DRAWN
    return points


@cache
def _smoothing() -> NDArray[np.float64]:
    """Return a normal filter of 72 points as a matrix; what is beyond the ends is reflected."""
    reach = int(4 * _SIGMA + 0.5)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / _SIGMA) ** 2)
    sources = (np.arange(_DRAWN)[:, None] + offsets) % (2 * _DRAWN)
    sources = np.where(sources < _DRAWN, sources, 2 * _DRAWN - 1 - sources)
    matrix = np.zeros((_DRAWN, _DRAWN))
    np.add.at(matrix, (np.arange(_DRAWN)[:, None], sources), weights / weights.sum())
    return matrix


@cache
def _images() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    from sklearn.datasets import load_digits

    images, classes = load_digits(return_X_y=True)
    return (images / 16.0).astype(np.float32), classes.astype(np.int64)


@cache
def _split() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the images to learn from, and those held out."""
    order = np.random.default_rng(0).permutation(len(_images()[1]))
    held_out = len(order) // 5
    return order[held_out:], order[:held_out]


def _of_images(chosen: NDArray[np.int64]) -> Sample:
    images, classes = _images()
    return Sample(equal_offsets(len(chosen), 64), classes[chosen], images[chosen].reshape(-1, 1))
