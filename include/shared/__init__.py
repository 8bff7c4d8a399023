"""What every subject shares: database, clock, unit of work, audit, settings, errors."""
