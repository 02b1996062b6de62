"""What people do comes in here: validated, made durable, learnt, and handed on to the live log."""
