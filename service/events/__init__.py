"""Takes in what people do: events are validated, made durable, merged, and shipped to the live log."""
