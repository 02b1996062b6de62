"""What is watched of live traffic and what it is compared with: pure, shared by training and the monitor."""
