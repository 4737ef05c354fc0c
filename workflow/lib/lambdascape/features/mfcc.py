"""Mel-frequency cepstral coefficients from stored log-mel frames: a recipe without a store of its own."""

import numpy as np
import numpy.typing as npt

from lambdascape.core.errors import InputError


def mfcc_matrix(n_mels: int, n_mfcc: int) -> npt.NDArray[np.float32]:
    """The matrix that makes MFCCs of log-mel frames: `frames @ matrix`.

    It is what `librosa.feature.mfcc` makes of the unit vectors: the orthonormal cosine transform (DCT-II). Those of
    `tf.signal.mfccs_from_log_mel_spectrograms` are the same but for the first coefficient, which is √2 times as large.

    Args:
        n_mels: mel bands of a frame, at least 1.
        n_mfcc: coefficients to keep, the lowest first, 1 to `n_mels`.

    Returns:
        Shape (mel, coefficient), float32.

    Raises:
        InputError: there are more coefficients than bands, or none.
    """
    import librosa  # takes seconds, and most networks see no coefficients

    if not 1 <= n_mfcc <= n_mels:
        raise InputError(f"n_mfcc must be 1 to the number of mel bands ({n_mels}); got {n_mfcc}")
    matrix: npt.NDArray[np.float32] = librosa.feature.mfcc(S=np.eye(n_mels, dtype=np.float32), n_mfcc=n_mfcc).T
    return matrix
