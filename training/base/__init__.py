"""What every room of training uses: errors, progress, the folder of a run."""
