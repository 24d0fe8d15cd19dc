"""Japanese Vowels: nine speakers, told apart by how they say two vowels."""

from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from longspan.sequences import Sequences


class SpeakerData(NamedTuple):
    """The official training and test parts of Japanese Vowels."""

    X_train: Sequences
    y_train: NDArray[np.str_]
    X_test: Sequences
    y_test: NDArray[np.str_]


def load_japanese_vowels() -> SpeakerData:
    """Load real speech: 640 utterances of the vowels /ae/ by nine men, as ragged sequences.

    Each step is a frame of the recording, described by 12 cepstrum coefficients of a linear prediction analysis
    (10 kHz sampling, frames of 25.6 ms every 6.4 ms); an utterance has 7 to 29 frames. The label is the speaker.

    Returns
    -------
    SpeakerData
        ``X_train`` (270 sequences, 30 a speaker), ``y_train``, ``X_test`` (370 sequences), ``y_test``.
        Labels are the strings "1" to "9".

    Notes
    -----
    Made available by the UCI Machine Learning Repository under CC BY 4.0; values are unchanged, stored as float32.

    References
    ----------
    M. Kudo, J. Toyama and M. Shimbo 1999, "Multidimensional curve classification using passing-through regions",
    Pattern Recognition Letters 20 (11-13), 1103-1111. https://doi.org/10.24432/C5NS47

    Examples
    --------
    >>> speakers = load_japanese_vowels()
    >>> len(speakers.X_train), len(speakers.X_test), speakers.X_train.n_features
    (270, 370, 12)
    """
    with (
        (files(__package__) / "japanese_vowels.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as parts,
    ):
        train, test = (_part(parts, name) for name in ("train", "test"))
    return SpeakerData(*train, *test)


def _part(parts: np.lib.npyio.NpzFile, name: str) -> tuple[Sequences, NDArray[np.str_]]:
    offsets = np.concatenate([[0], np.cumsum(parts[f"{name}_lengths"], dtype=np.int64)])
    names = tuple(f"cepstrum {i}" for i in range(1, 13))
    return Sequences(parts[f"{name}_values"], offsets, feature_names=names), parts[f"{name}_speakers"].astype("U1")
