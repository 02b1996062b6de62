"""Shared by all rooms of training: errors, progress, and the folder of a run."""
