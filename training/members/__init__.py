"""The ensemble's members: unlike models of the same question, each a function of a person's history."""
