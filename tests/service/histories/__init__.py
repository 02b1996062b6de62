"""Tests of how people are known: memory, Redis, the bundle."""
