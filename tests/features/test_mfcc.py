import librosa
import numpy as np
import pytest

from lambdascape.core.errors import InputError
from lambdascape.features.mfcc import mfcc_matrix


def frames(n_mels: int) -> np.ndarray:
    """Log-mel frames as the store has them, shape (frame, mel)."""
    return np.random.default_rng(n_mels).normal(-4, 3, (50, n_mels)).astype(np.float16).astype(np.float32)


@pytest.mark.parametrize(("n_mels", "n_mfcc"), [(40, 13), (128, 13), (13, 13), (16, 1)])
def test_coefficients_are_those_of_librosa_and_but_for_the_scale_of_the_first_of_tensorflow(
    n_mels: int, n_mfcc: int
) -> None:
    import tensorflow as tf

    found = frames(n_mels) @ mfcc_matrix(n_mels, n_mfcc)
    librosas = librosa.feature.mfcc(S=frames(n_mels).T, n_mfcc=n_mfcc).T
    np.testing.assert_allclose(found, librosas, rtol=0, atol=1e-4)
    tensorflows = tf.signal.mfccs_from_log_mel_spectrograms(frames(n_mels))[..., :n_mfcc].numpy()
    tensorflows[:, 0] /= np.sqrt(2)
    np.testing.assert_allclose(found, tensorflows, rtol=0, atol=1e-4)


@pytest.mark.parametrize("n_mfcc", [0, 41])
def test_coefficients_that_cannot_be_are_refused(n_mfcc: int) -> None:
    with pytest.raises(InputError, match=rf"n_mfcc must be 1 to the number of mel bands \(40\); got {n_mfcc}"):
        mfcc_matrix(40, n_mfcc)
