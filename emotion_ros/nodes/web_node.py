"""Entry point of the web node; reports a missing web server, which ROS does not include."""

from __future__ import annotations

import sys

from emotion_ros.nodes.spin import spin_node


def main() -> int:
    """Run the node until it is interrupted.

    Returns:
        Exit code: 0, or 1 if the node cannot run.
    """
    try:
        from emotion_ros.nodes.live_page_node import LivePage
    except ModuleNotFoundError as error:
        print(
            f"emotion_ros: web: {error.name} is not installed: pip install fastapi pillow prometheus-client "
            "python-multipart uvicorn websockets",
            file=sys.stderr,
        )
        return 1
    return spin_node(LivePage)
