-- What was open and is not found any more agrees now.
-- Called by include/reconciliation/services.py: run.
UPDATE discrepancy
SET closed_at = :now
WHERE closed_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM found_discrepancy WHERE found_discrepancy.key = discrepancy.key)
