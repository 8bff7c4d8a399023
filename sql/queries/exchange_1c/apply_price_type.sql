-- Called by include/exchange_1c/staging.py when all files are read: types of prices; equal ones are not rewritten.
-- Of several records with one Ид the last wins; one that carries a mark of deletion only changes nothing else.
WITH staged AS (
    SELECT DISTINCT ON (external_id) * FROM stage_price_type ORDER BY external_id, seq DESC
),
wanted AS (
    SELECT
        known.id AS known_id,
        staged.external_id,
        CASE WHEN staged.name = '' THEN known.name ELSE staged.name END AS name,
        CASE WHEN staged.name = '' THEN known.currency ELSE staged.currency END AS currency,
        CASE WHEN staged.name = '' THEN known.is_tax_included ELSE staged.is_tax_included END AS is_tax_included,
        staged.active,
        CASE WHEN staged.name = '' THEN known.details ELSE staged.details END AS details
    FROM staged
    LEFT JOIN price_type AS known ON known.external_id = staged.external_id
    WHERE known.id IS NOT NULL OR staged.name <> ''
),
fresh AS (
    SELECT wanted.*
    FROM wanted
    LEFT JOIN price_type AS known ON known.id = wanted.known_id
    WHERE known.id IS NULL
        OR (known.name, known.currency, known.is_tax_included, known.active, known.details)
            IS DISTINCT FROM
           (wanted.name, wanted.currency, wanted.is_tax_included, wanted.active, wanted.details)
),
added AS (
    INSERT INTO price_type (external_id, name, currency, is_tax_included, active, details, first_exchange_id, last_exchange_id)
    SELECT external_id, name, currency, is_tax_included, active, details, :exchange_id, :exchange_id
    FROM fresh
    WHERE known_id IS NULL
    RETURNING 1
),
noted AS (
    INSERT INTO exchange_change (exchange_id, entity, external_id, title, before, after)
    SELECT
        :exchange_id,
        'ТипЦены',
        fresh.external_id,
        fresh.name,
        jsonb_build_object(
            'name', known.name,
            'currency', known.currency,
            'is_tax_included', known.is_tax_included,
            'active', known.active
        ),
        jsonb_build_object(
            'name', fresh.name,
            'currency', fresh.currency,
            'is_tax_included', fresh.is_tax_included,
            'active', fresh.active
        )
    FROM fresh
    INNER JOIN price_type AS known ON known.id = fresh.known_id
    ORDER BY fresh.external_id
    LIMIT :shown
),
changed AS (
    UPDATE price_type AS known
    SET
        name = fresh.name,
        currency = fresh.currency,
        is_tax_included = fresh.is_tax_included,
        active = fresh.active,
        details = fresh.details,
        last_exchange_id = :exchange_id
    FROM fresh
    WHERE known.id = fresh.known_id
    RETURNING 1
)
SELECT
    (SELECT count(*) FROM staged) AS taken,
    (SELECT count(*) FROM added) AS added,
    (SELECT count(*) FROM changed) AS changed,
    (SELECT count(*) FROM wanted) - (SELECT count(*) FROM fresh) AS unchanged
