"""What people do comes in here: validated, made durable, merged, and handed on to the live log."""
