"""Missing values told to the network: what was last seen, whether it was seen now, and how long ago."""

import numpy as np

from longspan.sequences import Sequences


def indicate_missing(sequences: Sequences) -> Sequences:
    """Replace NaN by the value last seen, and say so in two more channels for every channel.

    Parameters
    ----------
    sequences : Sequences
        I channels, NaN where nothing was measured.

    Returns
    -------
    Sequences
        3I channels: the values, carried forward within each sequence (NaN before the first one seen); a mask, 1 where
        a value was measured and 0 elsewhere; and the steps since the last one seen, as ``log1p``.

    Examples
    --------
    >>> filled = indicate_missing(Sequences.from_list([np.array([np.nan, 2.0, np.nan])]))
    >>> filled[0][:, 0].tolist(), filled[0][:, 1].tolist()
    ([nan, 2.0, 2.0], [0.0, 1.0, 0.0])

    References
    ----------
    Lipton, Kale & Wetzel 2016, "Directly modeling missing data in sequences with RNNs" (the mask);
    Che et al. 2018, "Recurrent neural networks for multivariate time series with missing values" (the interval).
    """
    seen = ~np.isnan(sequences.values)
    rows = np.arange(len(seen))[:, None]
    starts = np.repeat(sequences.offsets[:-1], sequences.lengths)[:, None]
    last_seen = np.maximum.accumulate(np.where(seen, rows, starts), axis=0)
    carried = np.take_along_axis(sequences.values, last_seen, axis=0)
    silence = np.log1p((rows - last_seen).astype(np.float32))
    values = np.concatenate([carried, seen.astype(np.float32), silence], axis=1)
    names = sequences.feature_names
    if names is not None:
        names = (*names, *(f"{name} seen" for name in names), *(f"{name} silence" for name in names))
    return Sequences(values, sequences.offsets, feature_names=names)
