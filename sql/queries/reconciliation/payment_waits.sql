-- A payment came :payment_days days ago or earlier, and nobody has decided what it pays for. However many wait, the
-- oldest :most are listed (those that are listed already stay); the page of payments shows them all.
-- Called by include/reconciliation/services.py: run.
INSERT INTO found_discrepancy
SELECT 'payment_waits/payment/' || payment.id, 'payment_waits', NULL, NULL, payment.id, NULL, :accountant,
       jsonb_build_object(
           'number', payment.number, 'date', payment.date::text,
           'left', (payment.amount - abs(payment.allocated))::text
       )
FROM payment
WHERE payment.state IN ('queue', 'new') AND payment.date <= :today - CAST(:payment_days AS integer)
ORDER BY (
    SELECT count(*) FROM discrepancy WHERE discrepancy.payment_id = payment.id AND discrepancy.closed_at IS NULL
) DESC, payment.date, payment.id
LIMIT :most
