"""The pictures of docs/architecture.md, drawn from the imports and from small texts: `make pictures`."""
