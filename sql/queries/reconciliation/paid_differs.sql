-- «Сумма оплаты» of a deal is not what its payments make: entered by hand, or changed past the services.
-- Called by include/reconciliation/services.py: run.
INSERT INTO found_discrepancy
SELECT 'paid_differs/deal/' || deal.id, 'paid_differs', deal.id, NULL, NULL, NULL, :accountant,
       jsonb_build_object('paid', deal.paid::text, 'allocated', coalesce(counted.total, 0)::text)
FROM deal
LEFT JOIN (
    SELECT deal_id, sum(amount) AS total FROM payment_allocation WHERE undone_at IS NULL GROUP BY deal_id
) AS counted ON counted.deal_id = deal.id
WHERE deal.paid <> coalesce(counted.total, 0)
