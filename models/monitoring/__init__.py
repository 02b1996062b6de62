"""What is monitored in live traffic, and the reference for it: pure code, shared by training and the monitor."""
