"""The drill of faults: make each thing that can go wrong around the service, on purpose, under steady traffic."""
