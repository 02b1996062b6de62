"""The offline side, from raw events to a bundle. It imports `models`, and never `service`."""
