-- Called by include/exchange_1c/staging.py when all files are read: warehouses; equal ones are not rewritten.
-- Of several records with one Ид the last wins; one that carries a mark of deletion only changes nothing else.
WITH staged AS (
    SELECT DISTINCT ON (external_id) * FROM stage_warehouse ORDER BY external_id, seq DESC
),
wanted AS (
    SELECT
        known.id AS known_id,
        staged.external_id,
        CASE WHEN staged.name = '' THEN known.name ELSE staged.name END AS name,
        staged.active,
        CASE WHEN staged.name = '' THEN known.details ELSE staged.details END AS details
    FROM staged
    LEFT JOIN warehouse AS known ON known.external_id = staged.external_id
    WHERE known.id IS NOT NULL OR staged.name <> ''
),
fresh AS (
    SELECT wanted.*
    FROM wanted
    LEFT JOIN warehouse AS known ON known.id = wanted.known_id
    WHERE known.id IS NULL
        OR (known.name, known.active, known.details)
            IS DISTINCT FROM
           (wanted.name, wanted.active, wanted.details)
),
added AS (
    INSERT INTO warehouse (external_id, name, active, details, first_exchange_id, last_exchange_id)
    SELECT external_id, name, active, details, :exchange_id, :exchange_id
    FROM fresh
    WHERE known_id IS NULL
    RETURNING 1
),
noted AS (
    INSERT INTO exchange_change (exchange_id, entity, external_id, title, before, after)
    SELECT
        :exchange_id,
        'Склад',
        fresh.external_id,
        fresh.name,
        jsonb_build_object(
            'name', known.name,
            'active', known.active
        ),
        jsonb_build_object(
            'name', fresh.name,
            'active', fresh.active
        )
    FROM fresh
    INNER JOIN warehouse AS known ON known.id = fresh.known_id
    ORDER BY fresh.external_id
    LIMIT :shown
),
changed AS (
    UPDATE warehouse AS known
    SET
        name = fresh.name,
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
