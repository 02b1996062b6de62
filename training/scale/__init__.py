"""Bundles of any size without training: the shop and its student are invented, so that speed can be measured."""
