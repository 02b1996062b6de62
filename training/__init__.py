"""Offline: raw events to a bundle. Imports `models`, never `service`."""
