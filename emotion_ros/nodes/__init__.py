"""The ROS side: nodes, and conversions between messages and the package's own values. The only room that imports rclpy."""
