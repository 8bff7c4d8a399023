"""Everything that knows the business and nothing about Airflow."""
