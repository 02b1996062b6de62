"""What the process does around its work: listening, ending, and collecting garbage."""
