"""Pages and JSON API under ``/backoffice``."""
