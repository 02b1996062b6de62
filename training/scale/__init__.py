"""Make bundles of any size without training: shop and student are invented, so that speed can be measured."""
