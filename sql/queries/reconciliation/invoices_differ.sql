-- A deal has invoices, and they do not make its sum. A lost deal is nobody's concern any more.
-- Called by include/reconciliation/services.py: run.
INSERT INTO found_discrepancy
SELECT 'invoices_differ/deal/' || deal.id, 'invoices_differ', deal.id, NULL, NULL, NULL, deal.responsible_id,
       jsonb_build_object('amount', coalesce(deal.amount, 0)::text, 'invoiced', issued.total::text)
FROM deal
JOIN stage ON stage.id = deal.stage_id AND stage.kind <> 'lost'
JOIN (
    SELECT deal_id, sum(amount) AS total FROM invoice WHERE state = 'issued' AND deal_id IS NOT NULL GROUP BY deal_id
) AS issued ON issued.deal_id = deal.id
WHERE issued.total <> coalesce(deal.amount, 0)
