"""What people see and do: read models of the pages and of the API, and acts with their rights."""
