"""What a model is worth: metrics, the protocol that asks for them, serving figures and the report."""
