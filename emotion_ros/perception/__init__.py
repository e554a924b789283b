"""From an image to people: no ROS, no files, no threads of its own but one for hands."""
