"""The ensemble as it runs: members' opinions, features of pairs, and the strategy that weighs them."""
