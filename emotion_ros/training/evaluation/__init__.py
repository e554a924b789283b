"""Accuracy, calibration and robustness of classifiers."""
