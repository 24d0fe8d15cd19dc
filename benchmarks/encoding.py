"""How good are 16 numbers for a recording of Japanese Vowels? `LSTMEncoder` with its defaults, official split.

Three measures on the test part, over several seeds: the mean squared error of the reconstruction as a share of each
channel's variance; the accuracy of logistic regression on the numbers (fitted on those of the training part); and how
well recordings with one channel shuffled in time are told from untouched ones by `score_samples` (area under the ROC
curve of all test recordings against the same ones shuffled, averaged over shuffles, for each channel in its turn).
Beside them stands what 16 principal components do on recordings resampled to one length (linear interpolation), whose
anomaly score is the squared error of the reconstruction. With ``--few`` also: a classifier with few labels, with and
without `pretrained`. Run it with ``python -m benchmarks.encoding`` (and ``--json``).
"""

import argparse
import statistics
import time
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from benchmarks._measure import machine, report
from longspan import LSTMClassifier, LSTMEncoder, load_japanese_vowels

SHUFFLES = 3
RESAMPLED = 26


class ResampledPCA:
    """Principal components of standardised recordings that were resampled to one length."""

    def __init__(self, size: int) -> None:
        self.pca = PCA(size)

    def fit(self, X: Any) -> "ResampledPCA":
        """Learn from recordings."""
        self.mean, self.scale = X.values.mean(axis=0), X.values.std(axis=0)
        self.pca.fit(self._flat(X))
        return self

    def _flat(self, X: Any) -> np.ndarray:
        return np.stack([_resample((np.asarray(x) - self.mean) / self.scale, RESAMPLED).ravel() for x in X])

    def transform(self, X: Any) -> np.ndarray:
        """Return components."""
        return self.pca.transform(self._flat(X))

    def reconstruct(self, X: Any) -> list[np.ndarray]:
        """Return recordings made of their components, each with its own length."""
        flat = self.pca.inverse_transform(self.transform(X)).reshape(len(X), RESAMPLED, -1)
        return [_resample(row, len(x)) * self.scale + self.mean for row, x in zip(flat, X, strict=True)]

    def score_samples(self, X: Any) -> np.ndarray:
        """Return less the mean squared error of standardised values."""
        pairs = zip(X, self.reconstruct(X), strict=True)
        return np.array([-np.mean(((np.asarray(x) - y) / self.scale) ** 2) for x, y in pairs])


def _resample(x: np.ndarray, length: int) -> np.ndarray:
    places, known = np.linspace(0, len(x) - 1, length), np.arange(len(x))
    return np.stack([np.interp(places, known, channel) for channel in x.T], axis=1)


def shares(encoder: Any, X: Any) -> np.ndarray:
    """Mean squared error over the variance, channel by channel."""
    errors = np.concatenate([(np.asarray(x) - y) ** 2 for x, y in zip(X, encoder.reconstruct(X), strict=True)])
    return errors.mean(axis=0) / X.values.var(axis=0)


def areas(encoder: Any, X: Any) -> np.ndarray:
    """Area under the curve for each channel that is shuffled."""
    rng, untouched = np.random.default_rng(0), encoder.score_samples(X)
    truth = np.repeat([1, 0], len(X))
    found = np.empty((X.n_features, SHUFFLES))
    for channel, shuffle in np.ndindex(*found.shape):
        shuffled = [np.array(x) for x in X]
        for x in shuffled:
            x[:, channel] = rng.permutation(x[:, channel])
        found[channel, shuffle] = roc_auc_score(truth, np.concatenate([untouched, encoder.score_samples(shuffled)]))
    return found.mean(axis=1)


def measure(encoder: Any) -> dict[str, Any]:
    """Fit, and take the three measures."""
    X_train, y_train, X_test, y_test = load_japanese_vowels()
    began = time.perf_counter()
    encoder.fit(X_train)
    seconds = time.perf_counter() - began
    read = LogisticRegression(max_iter=5000).fit(encoder.transform(X_train), y_train)
    share, area = shares(encoder, X_test), areas(encoder, X_test)
    return {
        "error share": float(share.mean()),
        "worst channel's": float(share.max()),
        "accuracy": float(read.score(encoder.transform(X_test), y_test)),
        "area": float(area.mean()),
        "worst channel's area": float(area.min()),
        "seconds a fit": seconds,
    }


def over_seeds(seeds: int, **parameters: Any) -> dict[str, Any]:
    """Medians, and the lowest and the highest."""
    runs = [measure(LSTMEncoder(16, random_state=seed, **parameters)) for seed in range(seeds)]
    return {
        name: [statistics.median(values), min(values), max(values)]
        for name in runs[0]
        for values in [[run[name] for run in runs]]
    }


def few_labels(labels: int, seeds: int) -> dict[str, Any]:
    """Accuracy with so many labels a speaker, chosen by chance: alone, pretrained on all recordings, on the numbers."""
    X_train, y_train, X_test, y_test = load_japanese_vowels()
    scores: dict[str, list[float]] = {"alone": [], "pretrained": [], "on the numbers": []}
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        chosen = np.concatenate([rng.choice(np.flatnonzero(y_train == k), labels, False) for k in np.unique(y_train)])
        encoder = LSTMEncoder(16, random_state=seed).fit(X_train)
        for name, kind in (("alone", {"stem": None}), ("pretrained", {"pretrained": encoder})):
            classifier = LSTMClassifier(random_state=seed, **kind).fit(X_train[chosen], y_train[chosen])
            scores[name].append(classifier.score(X_test, y_test))
        Z = encoder.transform(X_train[chosen])
        read = LogisticRegression(max_iter=5000).fit(Z, y_train[chosen])
        scores["on the numbers"].append(float(read.score(encoder.transform(X_test), y_test)))
    return {name: [statistics.median(values), min(values), max(values)] for name, values in scores.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--few", action="store_true", help="also classify with few labels")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    result: dict[str, Any] = {
        "machine": machine(),
        "LSTMEncoder(16)": over_seeds(options.seeds),
        "PCA(16), resampled": measure(ResampledPCA(16)),
    }
    if options.few:
        result |= {f"{labels} labels a speaker": few_labels(labels, options.seeds) for labels in (2, 3)}
    report(result, as_json=options.json)


if __name__ == "__main__":
    main()
