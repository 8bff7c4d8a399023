-- An invoice that stands here has another sum in 1C.
-- Called by include/reconciliation/services.py: run.
INSERT INTO found_discrepancy
SELECT 'invoice_differs_in_one_c/invoice/' || invoice.id, 'invoice_differs_in_one_c', invoice.deal_id, invoice.id,
       NULL, document.id, :accountant,
       jsonb_build_object('number', invoice.number, 'amount', invoice.amount::text, 'one_c', document.amount::text)
FROM document_of_ours AS document
JOIN invoice ON invoice.id = document.invoice_id AND invoice.state = 'issued'
WHERE NOT document.is_ended AND document.amount <> invoice.amount
ON CONFLICT (key) DO NOTHING
