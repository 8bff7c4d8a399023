-- Called by include/exchange_1c/staging.py when all files are read: groups and categories by their Ид; equal ones are not rewritten.
-- Of several records with one Ид the last wins; one that carries a mark of deletion only changes nothing else.
WITH staged AS (
    SELECT DISTINCT ON (external_id) * FROM stage_group ORDER BY external_id, seq DESC
),
wanted AS (
    SELECT
        known.id AS known_id,
        staged.external_id,
        CASE WHEN staged.name = '' THEN known.name ELSE staged.name END AS name,
        CASE WHEN staged.name = '' THEN known.parent_external_id ELSE staged.parent_external_id END AS parent_external_id,
        staged.kind,
        staged.active,
        CASE WHEN staged.name = '' THEN known.details ELSE staged.details END AS details
    FROM staged
    LEFT JOIN nomenclature_group AS known ON known.external_id = staged.external_id
    WHERE known.id IS NOT NULL OR staged.name <> ''
),
fresh AS (
    SELECT wanted.*
    FROM wanted
    LEFT JOIN nomenclature_group AS known ON known.id = wanted.known_id
    WHERE known.id IS NULL
        OR (known.name, known.parent_external_id, known.kind, known.active, known.details)
            IS DISTINCT FROM
           (wanted.name, wanted.parent_external_id, wanted.kind, wanted.active, wanted.details)
),
added AS (
    INSERT INTO nomenclature_group (external_id, name, parent_external_id, kind, active, details, first_exchange_id, last_exchange_id)
    SELECT external_id, name, parent_external_id, kind, active, details, :exchange_id, :exchange_id
    FROM fresh
    WHERE known_id IS NULL
    RETURNING 1
),
noted AS (
    INSERT INTO exchange_change (exchange_id, entity, external_id, title, before, after)
    SELECT
        :exchange_id,
        'Группа',
        fresh.external_id,
        fresh.name,
        jsonb_build_object(
            'name', known.name,
            'parent_external_id', known.parent_external_id,
            'kind', known.kind,
            'active', known.active
        ),
        jsonb_build_object(
            'name', fresh.name,
            'parent_external_id', fresh.parent_external_id,
            'kind', fresh.kind,
            'active', fresh.active
        )
    FROM fresh
    INNER JOIN nomenclature_group AS known ON known.id = fresh.known_id
    ORDER BY fresh.external_id
    LIMIT :shown
),
changed AS (
    UPDATE nomenclature_group AS known
    SET
        name = fresh.name,
        parent_external_id = fresh.parent_external_id,
        kind = fresh.kind,
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
