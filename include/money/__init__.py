"""Money: own accounts, invoices, bank statements, payments and what they pay for (R002-43, R002-74, R000-2)."""
