"""Entry point of the web node; reports a missing web server, which ROS does not include."""

from __future__ import annotations

import sys

from emotion_ros.config.serving_config import check_pydantic, describe_import_error
from emotion_ros.nodes.spin import spin_node


def main() -> int:
    """Run the node until it is interrupted.

    Returns:
        Exit code: 0, or 1 if the node cannot run.
    """
    try:
        check_pydantic()
        from emotion_ros.nodes.live_page_node import LivePage
    except ImportError as error:
        print(f"emotion_ros: web: {describe_import_error(error)}", file=sys.stderr)
        return 1
    return spin_node(LivePage)
