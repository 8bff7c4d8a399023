-- An order went to 1C :order_days days ago or earlier, and no exchange since has confirmed it.
-- Called by include/reconciliation/services.py: run.
INSERT INTO found_discrepancy
SELECT 'order_unconfirmed/order/' || order_export.id, 'order_unconfirmed', order_export.deal_id, NULL, NULL, NULL,
       coalesce(CAST(:one_c AS bigint), :accountant),
       jsonb_build_object(
           'number', order_export.number,
           'sent', CAST(order_export.sent_at AT TIME ZONE 'Europe/Moscow' AS date)::text
       )
FROM order_export
WHERE order_export.state IN ('written', 'taken')
  AND CAST(order_export.sent_at AT TIME ZONE 'Europe/Moscow' AS date) <= :today - CAST(:order_days AS integer)
