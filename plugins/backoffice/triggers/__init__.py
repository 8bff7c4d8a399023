"""The one trigger of all human steps, waits and small database acts."""
