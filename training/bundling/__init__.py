"""Make the contents of a bundle beside the student."""
