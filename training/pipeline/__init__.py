"""From a shop's files to a bundle in the store, or to what every protocol measures."""
