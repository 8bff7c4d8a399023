-- Called by include/companies/twins.py when an exchange has been applied: counterparties that came although cards with the
-- same ИНН exist go to a person. A pair that was decided once is not asked about again.
INSERT INTO company_twin (kept_id, other_id, reason, exchange_id, found_at)
SELECT
    known.id,
    came.id,
    CASE WHEN coalesce(known.kpp, '') = coalesce(came.kpp, '') THEN 'same_inn_kpp' ELSE 'same_inn' END,
    :exchange_id,
    :now
FROM unnest(CAST(:external_ids AS text[])) AS wanted (external_id)
INNER JOIN company AS came ON came.external_id = wanted.external_id
INNER JOIN company AS known
    ON known.inn = came.inn
    AND known.id < came.id
    AND known.joined_into_id IS NULL
    AND (known.external_id IS NULL OR coalesce(known.kpp, '') = coalesce(came.kpp, ''))
WHERE came.joined_into_id IS NULL
    AND NOT EXISTS (
        SELECT 1 FROM company_twin AS turned WHERE turned.kept_id = came.id AND turned.other_id = known.id
    )
ON CONFLICT (kept_id, other_id) DO NOTHING
