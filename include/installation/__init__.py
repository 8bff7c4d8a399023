"""The installation: what starts, keeps alive, checks and stops the back office on one machine."""
