"""What the product itself needs on every installation: funnels, stages, fields, roles, settings."""
