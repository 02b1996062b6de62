"""Redis over one connection: an address, commands and replies, and when not to ask."""
