-- Called by include/exchange_1c/staging.py: a record that came again and was loaded leaves the quarantine.
UPDATE exchange_reject
SET resolved_at = :now
FROM stage_goods AS staged
WHERE exchange_reject.entity = 'Товар'
    AND exchange_reject.external_id = staged.external_id
    AND exchange_reject.resolved_at IS NULL
    AND exchange_reject.exchange_id < :exchange_id
