"""The ensemble as it runs: opinions of members, features of pairs, and the strategy that weighs them."""
