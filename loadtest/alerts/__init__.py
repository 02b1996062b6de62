"""A drill of the alerts: the real Prometheus and Alertmanager, faults made on purpose, and what people are told."""
