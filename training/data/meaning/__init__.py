"""What cells and columns of a shop's tables mean: names, kinds, times, numbers, words for what is missing."""
