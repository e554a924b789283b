"""Labelled pictures: readers, splits, crops, votes and corruptions."""
