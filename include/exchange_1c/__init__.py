"""Exchange with 1C through CommerceML files: goods and counterparties come in (R002-8)."""
