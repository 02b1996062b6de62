"""HTTP/1.1 on the wire: what each connection may cost, and what is done with one that costs more."""
