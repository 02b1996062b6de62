"""Load tests over HTTP: Locust users, the run that starts and breaks servers, and the SLA decision."""
