"""Transport settings of Fast DDS for the nodes of this package, and advice where images are lost, per middleware."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from ament_index_python.packages import get_package_share_directory

OWN_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_BUILTIN_TRANSPORTS")
"""Environment variables with which a user chooses the transports of Fast DDS."""

FAST_DDS_2 = ("humble", "iron", "jazzy")
"""Distributions with Fast DDS 2, which reads the second of :data:`OWN_VARIABLES`; Fast DDS 3 reads the first."""

OWN_FILES = ("DEFAULT_FASTDDS_PROFILES.xml", "DEFAULT_FASTRTPS_PROFILES.xml")
"""Profiles that Fast DDS loads from the working directory; the second name is used before Fast DDS 3."""

CAMERA_PROFILE = "fastdds_camera.xml"
"""Profile for images of camera drivers that have the default settings of Fast DDS."""

SHARED_PROFILE = "fastdds.xml"
"""Profile for processes that all use it."""

RECEIVE_BUFFER_BYTES = 4 << 20
"""Receive buffer that :data:`CAMERA_PROFILE` requests. All images of 6.2 MB at 30 Hz arrived with it."""


def profile_path(profile: str) -> str:
    """Return the path of an installed Fast DDS profile."""
    return str(Path(get_package_share_directory("emotion_ros")) / "config" / profile)


def profile_variables(profile: str) -> dict[str, str]:
    """Return the environment variable that selects a profile; empty if the user has settings of their own.

    Args:
        profile: :data:`CAMERA_PROFILE` or :data:`SHARED_PROFILE`.
    """
    if any(os.environ.get(name) for name in OWN_VARIABLES) or any(Path(name).exists() for name in OWN_FILES):
        return {}
    return {profiles_variable(): profile_path(profile)}


def profiles_variable() -> str:
    """Return the name of the environment variable that selects a profile in this distribution of ROS."""
    return OWN_VARIABLES[1 if os.environ.get("ROS_DISTRO") in FAST_DDS_2 else 0]


def remedy(rmw: str) -> str:
    """Return what to do where images are lost between a camera driver and this process.

    Args:
        rmw: name of the middleware, from ``rclpy.get_rmw_implementation_identifier()``.
    """
    if rmw.startswith("rmw_fastrtps"):
        return _cure_for_fastdds()
    if rmw.startswith("rmw_cyclonedds"):
        return "run 'sudo sysctl -w net.core.rmem_max=2147483647', then restart the camera driver and this node"
    if rmw.startswith("rmw_zenoh"):
        return (
            "check that the router runs (ros2 run rmw_zenoh_cpp rmw_zenohd); if it does, publish smaller or fewer "
            "images, or set image_transport: compressed"
        )
    return "enlarge the receive buffers of the middleware, or set image_transport: compressed"


def _cure_for_fastdds() -> str:
    uses_camera_profile = os.environ.get(profiles_variable()) == profile_path(CAMERA_PROFILE)
    if uses_camera_profile and _granted_receive_buffer() < RECEIVE_BUFFER_BYTES:
        return f"run 'sudo sysctl -w net.core.rmem_max={RECEIVE_BUFFER_BYTES}', then restart this node"
    variables = [name for name in OWN_VARIABLES if name != profiles_variable() and os.environ.get(name)]
    unset = f"unset {' '.join(variables)}; " if variables else ""
    return (
        f"run '{unset}export {profiles_variable()}={profile_path(SHARED_PROFILE)}' "
        "before both the camera driver and this node"
    )


def _granted_receive_buffer() -> int:
    """Return the bytes of receive buffer that the kernel grants of :data:`RECEIVE_BUFFER_BYTES`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        return probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2  # Linux doubles the value: socket(7)
