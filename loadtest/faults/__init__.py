"""The drill of faults: each thing that can go wrong around the service, made on purpose under steady traffic."""
