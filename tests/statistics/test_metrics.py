import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from lambdascape.statistics import metrics

pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40)


@given(pairs)
def test_scores_agree_with_scikit_learn_over_the_classes_of_the_truth(items):
    truth, predicted = np.array(items).T
    confusion = metrics.confusion_matrix(truth, predicted, 4)
    present = sorted(set(truth))
    f1 = sklearn.metrics.f1_score(truth, predicted, labels=present, average=None, zero_division=0)
    assert np.array_equal(confusion, sklearn.metrics.confusion_matrix(truth, predicted, labels=range(4)))
    assert metrics.f1_per_class(confusion)[present] == pytest.approx(f1)
    assert metrics.macro_f1(confusion) == pytest.approx(f1.mean())
    assert metrics.accuracy(confusion) == pytest.approx(sklearn.metrics.accuracy_score(truth, predicted))


def test_a_class_that_the_truth_lacks_has_no_f1_and_does_not_enter_the_mean():
    confusion = np.array([[3, 0, 1], [0, 4, 0], [0, 0, 0]])
    assert np.isnan(metrics.f1_per_class(confusion)).tolist() == [False, False, True]
    assert metrics.macro_f1(confusion) == pytest.approx((6 / 7 + 1) / 2)


def test_a_batch_gives_what_its_matrices_give_one_by_one():
    batch = np.random.default_rng(0).integers(0, 5, (7, 4, 4))
    for score in (metrics.macro_f1, metrics.accuracy, metrics.f1_per_class):
        assert score(batch) == pytest.approx(np.array([score(confusion) for confusion in batch]))


def test_nothing_scored_gives_missing_values():
    nothing = np.zeros((3, 3))
    assert np.isnan(metrics.macro_f1(nothing))
    assert np.isnan(metrics.accuracy(nothing))


def test_cross_entropy_agrees_with_a_loop_and_is_finite_at_probability_zero():
    posterior = np.array([[0.2, 0.8], [0.5, 0.5], [1.0, 0.0]])
    assert metrics.cross_entropy(posterior[:2], np.array([1, 0])) == pytest.approx(-(np.log(0.8) + np.log(0.5)) / 2)
    assert metrics.cross_entropy(posterior[2:], np.array([1])) == pytest.approx(-np.log(1e-15))


@given(st.integers(0, 1000))
def test_the_calibration_error_agrees_with_a_loop_over_bins(seed):
    rng = np.random.default_rng(seed)
    posterior, truth = rng.dirichlet(0.5 * np.ones(3), 40), rng.integers(0, 3, 40)
    confidence, right = posterior.max(axis=1), posterior.argmax(axis=1) == truth
    error = 0.0
    for low in range(15):
        inside = (confidence > low / 15) & (confidence <= (low + 1) / 15)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert metrics.expected_calibration_error(metrics.calibration_table(posterior, truth)) == pytest.approx(error)


def test_calibration_errors_that_are_known():
    sure = np.array([[1.0, 0.0]] * 10)
    truth = np.array([0] * 7 + [1] * 3)
    assert metrics.expected_calibration_error(metrics.calibration_table(sure, truth)) == pytest.approx(0.3)
    honest = np.array([[0.7, 0.3]] * 10)
    assert metrics.expected_calibration_error(metrics.calibration_table(honest, truth)) == pytest.approx(0)
    assert metrics.calibration_bin(np.array([1e-9, 1 / 15, 1 / 15 + 1e-9, 1.0])).tolist() == [0, 0, 1, 14]
    assert np.isnan(metrics.expected_calibration_error(np.zeros((15, 3))))
