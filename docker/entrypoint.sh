#!/bin/bash
# Source ROS and the package, then run a command.
set -e
. "/opt/ros/$ROS_DISTRO/setup.bash"
. /workspace/install/setup.bash
exec "$@"
