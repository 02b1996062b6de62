"""The routes of operators, and the port that they may have to themselves."""
