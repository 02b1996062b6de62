"""Other ways to serve the same answers, each in its own environment, with which the bench compares the service.

A peer may import `models`, because it serves the same student, and nothing else of this project. It gets the
service's requests: POST /recommend with user_id and limit.
"""
