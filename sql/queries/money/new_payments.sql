-- Which staged payments are not loaded yet, under the key that each would get. Payments that are alike in one file are
-- told apart by their number of order, so the same file, or one that overlaps it, gives the same keys again. A payment
-- that came from a sheet before is the same as that of the bank: one money, one payment.
-- Called by include/money/staging.py: Stage.count_new, Stage.apply.
CREATE TEMPORARY TABLE new_payment ON COMMIT DROP AS
WITH numbered AS (
    SELECT seq, base_key, row_number() OVER (PARTITION BY base_key ORDER BY seq) AS occurrence
    FROM stage_payment
), keyed AS (
    SELECT seq, base_key || CASE WHEN occurrence > 1 THEN '#' || occurrence ELSE '' END AS key
    FROM numbered
)
SELECT keyed.seq, keyed.key, stage_payment.direction, stage_payment.internal, stage_payment.amount,
       EXISTS (
           SELECT 1
           FROM payment AS twin
           WHERE twin.source = 'sheet' AND :source = 'bank'
             AND twin.date = stage_payment.date
             AND twin.amount = stage_payment.amount
             AND twin.direction = stage_payment.direction
             AND ltrim(twin.number, '0') = ltrim(stage_payment.number, '0')
             AND coalesce(twin.counter_inn, '') = coalesce(stage_payment.counter_inn, '')
             AND coalesce(twin.own_account_id, stage_payment.own_account_id) = stage_payment.own_account_id
       ) OR EXISTS (
           SELECT 1
           FROM payment AS twin
           WHERE twin.source = 'bank' AND :source = 'sheet'
             AND twin.date = stage_payment.date
             AND twin.amount = stage_payment.amount
             AND twin.direction = stage_payment.direction
             AND ltrim(twin.number, '0') = ltrim(stage_payment.number, '0')
             AND coalesce(twin.counter_inn, '') = coalesce(stage_payment.counter_inn, '')
             AND twin.own_account_id = coalesce(stage_payment.own_account_id, twin.own_account_id)
       ) AS is_twin
FROM keyed
JOIN stage_payment ON stage_payment.seq = keyed.seq
WHERE NOT EXISTS (SELECT 1 FROM payment WHERE payment.key = keyed.key)
