"""Standing reconciliation of deals, invoices, 1C documents and bank payments (★70)."""
