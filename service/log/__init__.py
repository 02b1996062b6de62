"""The live log: what people did and what they were shown, from the service to whoever watches and trains."""
