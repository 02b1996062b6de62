"""What one split teaches: the members, the ensemble over them, and the student."""
