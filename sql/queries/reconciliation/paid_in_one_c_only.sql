-- 1C says that an invoice or an order is paid, and the payments that we know make less of it: :payment_days days are
-- given to load the statement.
-- Called by include/reconciliation/services.py: run.
INSERT INTO found_discrepancy
SELECT 'paid_in_one_c_only/document/' || document.id, 'paid_in_one_c_only', document.deal_id, document.invoice_id,
       NULL, document.id, :accountant,
       jsonb_build_object(
           'number', document.number, 'amount', document.paid::text, 'paid', coalesce(counted.total, 0)::text,
           'date', CAST(document.paid_at AT TIME ZONE 'Europe/Moscow' AS date)::text
       )
FROM document_of_ours AS document
LEFT JOIN LATERAL (
    SELECT sum(amount) AS total
    FROM payment_allocation
    WHERE undone_at IS NULL
      AND CASE WHEN document.invoice_id IS NOT NULL THEN invoice_id = document.invoice_id
               ELSE deal_id = document.deal_id END
) AS counted ON true
WHERE document.paid > coalesce(counted.total, 0)
  AND NOT document.is_ended
  AND CAST(document.paid_at AT TIME ZONE 'Europe/Moscow' AS date) <= :today - CAST(:payment_days AS integer)
