#!/bin/bash
# Run a command with ROS and the package sourced.
set -e
. "/opt/ros/$ROS_DISTRO/setup.bash"
. /workspace/install/setup.bash
exec "$@"
