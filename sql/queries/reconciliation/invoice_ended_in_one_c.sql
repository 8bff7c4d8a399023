-- An invoice stands here, and 1C has cancelled it or marked it for deletion.
-- Called by include/reconciliation/services.py: run.
INSERT INTO found_discrepancy
SELECT 'invoice_ended_in_one_c/invoice/' || invoice.id, 'invoice_ended_in_one_c', invoice.deal_id, invoice.id,
       NULL, document.id, :accountant, jsonb_build_object('number', invoice.number, 'amount', invoice.amount::text)
FROM document_of_ours AS document
JOIN invoice ON invoice.id = document.invoice_id AND invoice.state = 'issued'
WHERE document.is_ended
ON CONFLICT (key) DO NOTHING
