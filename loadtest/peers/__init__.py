"""Other ways to serve the same answers, each in its own environment: what the bench compares with.

A peer may import `models`, since it serves the same student, and nothing else of this project. It is asked as the
service is: POST /recommend with user_id and limit.
"""
