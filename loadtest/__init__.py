"""Load tests over HTTP: Locust users, the run that starts and breaks servers, and the decision on the SLA."""
