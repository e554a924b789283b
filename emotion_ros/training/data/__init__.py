"""Labelled pictures: reading, splitting, cropping, corrupting."""
