"""What experiments can be trusted with: simulations with a known truth, and estimates of an arm before it is seen."""
