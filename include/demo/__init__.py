"""The demo company: people, a 1C exchange and a dozen deals that went through the services."""
