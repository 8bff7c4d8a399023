-- Which invoice or order of ours each document of 1C is: by its Ид, else by the number of its organisation's year.
-- Called by include/reconciliation/services.py: run.
CREATE TEMPORARY TABLE document_of_ours ON COMMIT DROP AS
WITH linked AS (
    SELECT document.id, invoice.id AS invoice_id, invoice.deal_id, true AS by_id
    FROM one_c_document AS document
    JOIN invoice ON invoice.external_id = document.external_id
    UNION ALL
    SELECT document.id, invoice.id, invoice.deal_id, false
    FROM one_c_document AS document
    JOIN invoice ON invoice.number_key = document.number_key AND invoice.year = extract(year FROM document.date)
                AND invoice.external_id IS NULL AND invoice.source = 'recorded'
                AND invoice.company_id = document.company_id
    WHERE document.kind = 'invoice'
    UNION ALL
    SELECT document.id, NULL, order_export.deal_id, order_export.external_id = document.external_id
    FROM one_c_document AS document
    JOIN order_export ON order_export.external_id = document.external_id
                      OR (order_export.number_key = document.number_key AND document.kind = 'order'
                          AND document.date >= CAST(order_export.ordered_at AT TIME ZONE 'Europe/Moscow' AS date))
    WHERE order_export.state IN ('written', 'taken', 'confirmed', 'failed')
)
SELECT DISTINCT ON (document.id)
       document.id, document.external_id, document.kind, document.number, document.date, document.amount,
       document.currency, document.is_deleted OR document.is_cancelled AS is_ended, document.changed_at,
       CASE WHEN document.is_paid OR document.paid_amount > 0
            THEN coalesce(document.paid_amount, document.amount) END AS paid,
       coalesce(document.paid_at, document.changed_at) AS paid_at,
       coalesce(document.is_shipped, document.shipped_at IS NOT NULL) AS is_shipped,
       linked.invoice_id, linked.deal_id
FROM linked
JOIN one_c_document AS document ON document.id = linked.id
ORDER BY document.id, linked.by_id DESC, linked.invoice_id, linked.deal_id
