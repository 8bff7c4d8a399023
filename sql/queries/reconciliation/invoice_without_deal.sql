-- An invoice came from 1C, and nobody has said which deal it belongs to.
-- Called by include/reconciliation/services.py: run.
INSERT INTO found_discrepancy
SELECT 'invoice_without_deal/invoice/' || invoice.id, 'invoice_without_deal', NULL, invoice.id, NULL, NULL,
       :accountant, jsonb_build_object('number', invoice.number, 'amount', invoice.amount::text)
FROM invoice
WHERE invoice.deal_id IS NULL AND invoice.state = 'issued'
