"""Trains and measures the hand landmark network."""
