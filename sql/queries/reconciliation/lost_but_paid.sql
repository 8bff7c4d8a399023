-- A deal is lost, and money of it is still with us: it is to be returned, or the deal was not lost.
-- Called by include/reconciliation/services.py: run.
INSERT INTO found_discrepancy
SELECT 'lost_but_paid/deal/' || deal.id, 'lost_but_paid', deal.id, NULL, NULL, NULL, deal.responsible_id,
       jsonb_build_object('paid', deal.paid::text)
FROM deal
JOIN stage ON stage.id = deal.stage_id AND stage.kind = 'lost'
WHERE deal.paid > 0
