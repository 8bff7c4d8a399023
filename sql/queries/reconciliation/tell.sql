-- Which owners have open rows that nobody has told them of: how many, and the newest of them; they are told now.
-- Called by include/reconciliation/services.py: run.
WITH untold AS (
    UPDATE discrepancy
    SET told_at = :now
    WHERE closed_at IS NULL AND told_at IS NULL AND owner_id IS NOT NULL
    RETURNING id, owner_id
)
SELECT owner_id, count(*) AS number, max(id) AS newest FROM untold GROUP BY owner_id ORDER BY owner_id
