"""What operations see and do: the findings of doctor and page, failed steps, dead letters."""
