-- Called by include/money/from_one_c.py in the transaction of an exchange: what its invoices are among ours.
-- The same Ид, else the same number of the same year for the same counterparty (an invoice that a person recorded, or ours
-- that came back). The deal is certain only through the order of ours under which the invoice stands.
WITH said AS (
    SELECT
        document.id, document.external_id, document.parent_external_id, document.number, document.number_key,
        document.date, round(document.amount, 2) AS amount, document.company_id,
        document.is_deleted OR document.is_cancelled AS is_ended,
        nullif(document.details -> 'requisites' ->> 'Организация', '') AS organisation
    FROM one_c_document AS document
    WHERE document.last_exchange_id = :exchange_id
        AND document.kind = 'invoice'
        AND document.date IS NOT NULL
        AND document.amount > 0
        AND document.number_key <> ''
        AND coalesce(document.currency, 'RUB') = 'RUB'
)
SELECT
    said.*,
    coalesce(by_id.id, by_number.id) AS invoice_id,
    ordered.deal_id
FROM said
LEFT JOIN invoice AS by_id ON by_id.external_id = said.external_id
LEFT JOIN LATERAL (
    SELECT invoice.id
    FROM invoice
    WHERE by_id.id IS NULL
        AND invoice.external_id IS NULL
        AND invoice.number_key = said.number_key
        AND invoice.year = extract(year FROM said.date)
        AND invoice.company_id = said.company_id
    ORDER BY invoice.id
    LIMIT 1
) AS by_number ON true
LEFT JOIN LATERAL (
    SELECT order_export.deal_id
    FROM order_export
    LEFT JOIN one_c_document AS above ON above.external_id = said.parent_external_id
    WHERE said.parent_external_id IS NOT NULL
        AND order_export.state IN ('written', 'taken', 'confirmed', 'failed')
        AND (
            order_export.external_id = said.parent_external_id
            OR (order_export.number_key = above.number_key AND above.kind = 'order'
                AND above.date >= CAST(order_export.ordered_at AT TIME ZONE 'Europe/Moscow' AS date))
        )
    ORDER BY order_export.version DESC
    LIMIT 1
) AS ordered ON true
ORDER BY said.id
