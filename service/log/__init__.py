"""The live log: what people did and what they were shown, written by the service for the monitor and training."""
