"""`make fuzz`: a hundred thousand malformed requests and replies of Redis, each with a right outcome.

Requests made from the OpenAPI document; raw bytes, over both ways of HTTP, with equal answers; and replies of Redis,
to the connection code itself and to a service. Everything is drawn from one seed, and what is found is written to a
file that can be replayed.
"""
