"""The kernel without Python around it: under other processors, under sanitizers, and its instructions counted."""
