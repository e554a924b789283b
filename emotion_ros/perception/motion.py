"""Predicts the position of a face: a Kalman filter of constant velocity."""

from __future__ import annotations

from emotion_ros.types import Box

MEASUREMENT_NOISE = 0.04
"""Standard deviation of a detected centre, in face sizes."""

ACCELERATION_NOISE = 2.0
"""Standard deviation of the change of velocity in one second, in face sizes per second.

After the first detections only its ratio to :data:`MEASUREMENT_NOISE` matters. Of ratios from 6 to 200, ids changed
least often at 50: 20 variants of the sequence of ``scripts/compare_trackers.py``, and 12 simulated sequences of nine
people.
"""

INITIAL_SPEED = 1.0
"""Standard deviation of the velocity of a new face, in face sizes per second. 0.5 and 2 change no figure notably."""


class FaceMotion:
    """Position, velocity and size of one face, estimated from its detections.

    The centre moves with constant velocity and white noise of acceleration. The size is a random walk, so that a
    prediction never shrinks or grows. Both axes share one covariance in units of the face's size: it depends only on
    the times of the detections.

    Args:
        box: first detection, pixels.
        stamp: of the first detection, seconds.

    Attributes:
        stamp: of the last detection, seconds.
    """

    def __init__(self, box: Box, stamp: float) -> None:
        self.stamp = stamp
        self._x, self._y = box.centre
        self._width, self._height = box.width, box.height
        self._x_velocity = self._y_velocity = 0.0
        self._position_variance = MEASUREMENT_NOISE**2
        self._covariance = 0.0  # of position and velocity
        self._velocity_variance = INITIAL_SPEED**2

    def predict(self, stamp: float) -> Box:
        """Return the box that is expected at a time, pixels. The estimate is not changed."""
        elapsed = stamp - self.stamp
        left = self._x + self._x_velocity * elapsed - self._width / 2
        top = self._y + self._y_velocity * elapsed - self._height / 2
        return Box(left, top, self._width, self._height)

    def update(self, box: Box, stamp: float) -> None:
        """Correct the estimate by a detection that is not older than the last one."""
        expected = self.predict(stamp)
        position_gain, velocity_gain = self._update_covariance(stamp - self.stamp)
        (x, y), (detected_x, detected_y) = expected.centre, box.centre
        self._x = x + position_gain * (detected_x - x)
        self._y = y + position_gain * (detected_y - y)
        self._x_velocity += velocity_gain * (detected_x - x)
        self._y_velocity += velocity_gain * (detected_y - y)
        self._width += position_gain * (box.width - self._width)
        self._height += position_gain * (box.height - self._height)
        self.stamp = stamp

    def _update_covariance(self, elapsed: float) -> tuple[float, float]:
        """Predict the covariance, correct it by a detection and return the gains of position and velocity.

        The noise is the integral of white noise of acceleration over the elapsed time, so that steps of any length are
        equivalent: two of 0.1 s without a detection are one of 0.2 s.
        """
        noise = ACCELERATION_NOISE**2 * elapsed
        rate = self._velocity_variance
        variance = self._position_variance + elapsed * (2 * self._covariance + elapsed * (rate + noise / 3))
        covariance = self._covariance + elapsed * (rate + noise / 2)
        position_gain = variance / (variance + MEASUREMENT_NOISE**2)
        velocity_gain = covariance / (variance + MEASUREMENT_NOISE**2)
        self._position_variance = (1 - position_gain) * variance
        self._covariance = (1 - position_gain) * covariance
        self._velocity_variance = rate + noise - velocity_gain * covariance
        return position_gain, velocity_gain
