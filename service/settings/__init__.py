"""Every setting, a class for each room; a process reads those that it uses."""
