-- How much came in and went out on each of our accounts by the staged payments: all of them, and each counted once (a
-- transfer between two accounts of ours may stand in a file twice).
-- Called by include/money/staging.py: Stage.sums.
SELECT own_account_id, direction, sum(amount) AS total, count(*) AS number,
       sum(amount) FILTER (WHERE occurrence = 1) AS total_once, count(*) FILTER (WHERE occurrence = 1) AS number_once
FROM (
    SELECT own_account_id, direction, amount, row_number() OVER (PARTITION BY base_key ORDER BY seq) AS occurrence
    FROM stage_payment
) AS numbered
GROUP BY own_account_id, direction
