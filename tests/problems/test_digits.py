"""MNIST-1D against its recipe, step by step; the images of scikit-learn pixel by pixel."""

import numpy as np
import pytest
from scipy.interpolate import interp1d
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits

from longspan.problems import MNIST1D, PixelDigits
from longspan.problems.digits import _MEAN, _STD, _TEMPLATES


def over(values, points):
    return interp1d(np.linspace(0, 1, len(values)), values)(np.linspace(0, 1, points))


def one_curve(digit, padding, scale, shift, smooth, noise, shear):
    """The published recipe for one curve, with what is drawn by chance passed in."""
    template = np.array(_TEMPLATES[digit], float)
    template = (template - template.mean()) / template.std()
    template = (template - template[0]) / 6
    curve = over(np.concatenate([template + 1e-8, np.zeros(padding)]), 72)
    curve = curve * (1 + 0.4 * (scale - 0.5))
    curve = np.roll(curve, shift)
    empty = curve == 0
    curve = np.where(empty, gaussian_filter(0.25 * smooth, 2), curve) + 0.02 * noise
    return over(curve - 0.75 * (shear - 0.5) * np.linspace(-0.5, 0.5, 72), 40)


def test_curves_are_those_of_the_recipe():
    n = 40
    sample = MNIST1D().generate(n, np.random.default_rng(7))
    rng = np.random.default_rng(7)
    digits, padding, scale = rng.integers(0, 10, n), rng.integers(36, 61, n), rng.random((n, 1))
    shift, smooth, noise = rng.integers(0, 48, n), rng.standard_normal((n, 72)), rng.standard_normal((n, 72))
    shear = rng.random((n, 1))
    np.testing.assert_array_equal(sample.targets, digits)
    for number in range(n):
        drawn = (part[number] for part in (digits, padding, scale, shift, smooth, noise, shear))
        expected = (one_curve(*drawn) - _MEAN) / _STD
        np.testing.assert_allclose(sample.inputs[number][:, 0], expected, atol=1e-5)


def test_curves_are_standardised():
    values = MNIST1D().generate(20_000, np.random.default_rng(0)).values.astype(np.float64)
    assert values.mean() == pytest.approx(0, abs=0.01)
    assert values.std() == pytest.approx(1, abs=0.01)


def test_pixels_are_those_of_the_images_row_by_row():
    sample = PixelDigits().generate(20, np.random.default_rng(0))
    images, classes = load_digits(return_X_y=True)
    for pixels, target in zip(sample.inputs, sample.targets, strict=True):
        found = np.flatnonzero((images == 16 * pixels[:, 0]).all(axis=1))
        assert target in classes[found]


def test_one_image_in_five_is_held_out_and_never_learned_from():
    problem = PixelDigits()
    held_out = problem.held_out(359, np.random.default_rng(0))
    learned = problem.generate(20_000, np.random.default_rng(0))
    judged = {pixels.tobytes() for pixels in held_out.inputs}
    assert len(judged) == 359
    assert not judged & {pixels.tobytes() for pixels in learned.inputs}
    assert problem.criterion.over == 359
    assert len(problem.held_out(700, np.random.default_rng(0))) == 700
