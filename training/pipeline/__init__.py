"""The two ways through training: from a shop's files to a bundle in the store, or to every protocol's figures."""
