"""Shops that change, and models that are damaged, on purpose: how soon the monitor says so, and how often wrongly."""
