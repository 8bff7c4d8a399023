-- What the documents of an exchange say of our orders: of each deal the newest version that 1C may have.
-- Called by include/orders/services.py (confirm_from_documents), within the exchange's transaction.
-- A document is an order's when it has its Ид, or when it is an order of that number made not before ours (УТ 11 may
-- give an Ид of its own). A change that still lies in the folder is not confirmed by what 1C says of the version before.
WITH said AS (
    SELECT DISTINCT ON (order_export.deal_id)
           order_export.id, order_export.deal_id, order_export.number AS own_number,
           order_export.number_key AS own_key,
           document.number, document.number_key, document.date, document.details,
           document.is_deleted OR document.is_cancelled AS is_ended,
           (order_export.content ->> 'cancelled')::boolean AS wanted_ended,
           order_export.state
    FROM one_c_document AS document
    JOIN order_export
      ON order_export.state IN ('written', 'taken', 'confirmed', 'failed')
     AND (order_export.external_id = document.external_id
          OR (order_export.number_key = document.number_key AND document.kind = :order_kind
              AND document.date >= CAST(order_export.ordered_at AT TIME ZONE 'Europe/Moscow' AS date)))
    LEFT JOIN exchange ON exchange.id = document.last_exchange_id
    WHERE document.last_exchange_id = :exchange_id
      AND order_export.sent_at <= exchange.started_at
      AND (order_export.state <> 'written' OR order_export.version = 1
           OR (order_export.content ->> 'cancelled')::boolean OR document.amount = order_export.amount)
    ORDER BY order_export.deal_id, order_export.version DESC, (order_export.external_id = document.external_id) DESC,
             document.id
)
SELECT said.id, said.own_number, said.own_key, said.number, said.number_key, said.date, said.details, said.is_ended, said.wanted_ended,
       deal.case_id
FROM said
JOIN deal ON deal.id = said.deal_id
WHERE CASE said.state
          WHEN 'confirmed' THEN said.is_ended AND NOT said.wanted_ended
          WHEN 'failed' THEN NOT said.is_ended
          ELSE said.is_ended OR NOT said.wanted_ended
      END
ORDER BY said.id
