"""One request: its body, what it decodes to, who answers it, and the problem document if nobody can."""
