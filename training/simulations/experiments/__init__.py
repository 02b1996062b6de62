"""Experiments whose truth is known: how often they are right, and how soon."""
