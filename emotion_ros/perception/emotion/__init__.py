"""Classifies emotions: the classifier, its metadata, preprocessing, and the labels' names and coordinates."""
