-- What was not open is opened; one that comes back begins a new age, the closed rows stay as its history.
-- Called by include/reconciliation/services.py: run.
INSERT INTO discrepancy (
    key, kind, deal_id, invoice_id, payment_id, document_id, owner_id, found_at, seen_at, details
)
SELECT found.key, found.kind, found.deal_id, found.invoice_id, found.payment_id, found.document_id, found.owner_id,
       :now, :now, found.details
FROM found_discrepancy AS found
WHERE NOT EXISTS (SELECT 1 FROM discrepancy WHERE discrepancy.closed_at IS NULL AND discrepancy.key = found.key)
ORDER BY found.key
ON CONFLICT (key) WHERE closed_at IS NULL DO NOTHING
