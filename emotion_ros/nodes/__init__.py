"""ROS nodes, and conversion between messages and values. The only room that imports rclpy."""
