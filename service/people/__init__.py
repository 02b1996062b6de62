"""What a person did: process memory first, then one coalesced Redis read, then the bundle's cold copy."""
