"""Change shops and damage models on purpose: how soon the monitor notices, and how often it is wrong."""
