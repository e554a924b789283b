"""Cameras, videos, folders, bags, encodings, drawing, and records of results. No ROS, no models."""
