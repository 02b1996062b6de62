"""What a bundle holds beside the student."""
