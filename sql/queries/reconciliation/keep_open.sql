-- What is still so keeps its age; its numbers and its owner are those of now, and a new owner is told anew.
-- Called by include/reconciliation/services.py: run.
UPDATE discrepancy
SET seen_at = :now,
    details = found.details,
    told_at = CASE WHEN discrepancy.owner_id IS NOT DISTINCT FROM found.owner_id THEN discrepancy.told_at END,
    owner_id = found.owner_id
FROM found_discrepancy AS found
WHERE discrepancy.closed_at IS NULL AND discrepancy.key = found.key
