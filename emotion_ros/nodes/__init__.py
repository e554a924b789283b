"""The ROS side: nodes, and conversions between messages and values. The only room that imports rclpy."""
