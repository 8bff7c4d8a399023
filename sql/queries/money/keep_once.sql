-- Keeps the first of the staged payments that are alike on one account and in one direction.
-- Called by include/money/staging.py: Stage.keep_once.
DELETE FROM stage_payment
USING (
    SELECT seq, row_number() OVER (PARTITION BY base_key ORDER BY seq) AS occurrence
    FROM stage_payment
    WHERE own_account_id = :own_account_id AND direction = :direction
) AS numbered
WHERE stage_payment.seq = numbered.seq AND numbered.occurrence > 1
