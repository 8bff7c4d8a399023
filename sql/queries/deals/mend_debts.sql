-- Puts right the debts that differ from their sums (a bulk import, SQL by hand), :most deals at a time (R002-74).
-- The cases are locked first, in their order; a deal that somebody has put right meanwhile is left alone: its row is
-- looked at again once its case is locked.
-- Called by include/deals/debt.py: nightly_check.
WITH drifted AS MATERIALIZED (
    SELECT deal.id, deal.case_id, deal.debt, deal.overpaid
    FROM deal
    WHERE deal.debt <> greatest(coalesce(deal.amount, 0) - deal.paid, 0)
       OR deal.overpaid <> greatest(deal.paid - coalesce(deal.amount, 0), 0)
    ORDER BY deal.case_id
    LIMIT :most
), locked AS MATERIALIZED (
    SELECT process_case.id
    FROM process_case
    WHERE process_case.id IN (SELECT case_id FROM drifted)
    ORDER BY process_case.id
    FOR NO KEY UPDATE
)
UPDATE deal
SET debt = greatest(coalesce(deal.amount, 0) - deal.paid, 0),
    overpaid = greatest(deal.paid - coalesce(deal.amount, 0), 0)
FROM drifted
JOIN locked ON locked.id = drifted.case_id
WHERE deal.id = drifted.id
  AND (deal.debt <> greatest(coalesce(deal.amount, 0) - deal.paid, 0)
       OR deal.overpaid <> greatest(deal.paid - coalesce(deal.amount, 0), 0))
RETURNING deal.id, deal.case_id, deal.title, drifted.debt AS was_debt, drifted.overpaid AS was_overpaid,
          deal.debt, deal.overpaid
