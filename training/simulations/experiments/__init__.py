"""Simulate experiments whose truth is known: how often they are right, and how soon."""
