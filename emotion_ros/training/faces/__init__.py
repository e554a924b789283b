"""Trains and measures the network that finds the landmarks of a face and the pose of the head."""
