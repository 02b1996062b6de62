"""A drill of the alerts, with the real Prometheus and Alertmanager, deliberate faults, and the messages sent."""
