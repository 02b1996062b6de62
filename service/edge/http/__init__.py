"""HTTP/1.1 on the wire: what each connection may cost, and what happens to one that costs more."""
