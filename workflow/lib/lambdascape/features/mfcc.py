"""Mel-frequency cepstral coefficients from stored log-mel frames: a recipe without a store of its own."""

import numpy as np
import numpy.typing as npt

from lambdascape.core.errors import InputError


def mfcc_matrix(n_mels: int, n_mfcc: int) -> npt.NDArray[np.float32]:
    """The matrix that makes MFCCs of log-mel frames: `frames @ matrix`.

    The cosine transform (DCT-II) with the scaling of `tf.signal.mfccs_from_log_mel_spectrograms`, which is HTK's, with
    the number of bands in place of HTK's number of coefficients.

    Args:
        n_mels: mel bands of a frame, at least 1.
        n_mfcc: coefficients to keep, the lowest first, 1 to `n_mels`.

    Returns:
        Shape (mel, coefficient), float32.

    Raises:
        InputError: there are more coefficients than bands, or none.
    """
    if not 1 <= n_mfcc <= n_mels:
        raise InputError(f"n_mfcc must be 1 to the number of mel bands ({n_mels}); got {n_mfcc}")
    band, coefficient = np.arange(n_mels)[:, np.newaxis], np.arange(n_mfcc)
    matrix = np.sqrt(2 / n_mels) * np.cos(np.pi / n_mels * (band + 0.5) * coefficient)
    return matrix.astype(np.float32)
