"""The bundle: the contract between training and serving. This package imports neither of them."""
