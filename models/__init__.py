"""The bundle: the contract between training and serving. Imports neither of them."""
