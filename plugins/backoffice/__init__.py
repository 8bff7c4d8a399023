"""Everything that knows Airflow: the words of processes, triggers, relay, reconciler and pages."""
