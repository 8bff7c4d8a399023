-- More is paid by an invoice than it asks for.
-- Called by include/reconciliation/services.py: run.
INSERT INTO found_discrepancy
SELECT 'invoice_overpaid/invoice/' || invoice.id, 'invoice_overpaid', invoice.deal_id, invoice.id, NULL, NULL,
       :accountant,
       jsonb_build_object('number', invoice.number, 'amount', invoice.amount::text, 'paid', counted.total::text)
FROM invoice
JOIN (
    SELECT invoice_id, sum(amount) AS total
    FROM payment_allocation
    WHERE undone_at IS NULL AND invoice_id IS NOT NULL
    GROUP BY invoice_id
) AS counted ON counted.invoice_id = invoice.id
WHERE counted.total > invoice.amount
