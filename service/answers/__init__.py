"""What a request is answered with: who is asked, in which arm, by which tier, and what is noted of it."""
