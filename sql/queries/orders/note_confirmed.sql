-- Write what 1C has said of these versions of orders; an older version that 1C had not answered is taken in by them.
-- Called by include/orders/services.py (confirm_from_documents).
WITH told AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(CAST(:told AS jsonb)) AS one (id bigint, state text, number_1c text, date_1c date)
), older AS (
    UPDATE order_export SET
        state = 'replaced',
        ended_at = :now,
        reason = 'учтена в версии ' || newest.version
    FROM told
    JOIN order_export AS newest ON newest.id = told.id
    WHERE order_export.deal_id = newest.deal_id AND order_export.version < newest.version
      AND order_export.state IN ('written', 'taken')
)
UPDATE order_export SET
    state = one.state,
    ended_at = :now,
    confirmed_exchange_id = :exchange_id,
    number_1c = coalesce(one.number_1c, order_export.number_1c),
    date_1c = coalesce(one.date_1c, order_export.date_1c),
    reason = CASE WHEN one.state = 'failed' THEN 'в 1С заказ отменён или помечен на удаление' END
FROM told AS one
WHERE order_export.id = one.id
