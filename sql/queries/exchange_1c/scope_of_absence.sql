-- Called by include/exchange_1c/staging.py when the goods are applied: what a full export leaves out, inside its scope alone.
-- The scope is the groups whose goods it brings: an export of one group says nothing of the others.
WITH scope AS (
    SELECT DISTINCT staged.group_external_id
    FROM stage_goods AS staged
    INNER JOIN stage_full_file AS whole ON whole.file_id = staged.file_id
    WHERE staged.name <> ''
),
known AS (
    SELECT
        nomenclature.external_id,
        nomenclature.name,
        staged.external_id IS NULL AS is_absent
    FROM nomenclature
    INNER JOIN scope ON scope.group_external_id IS NOT DISTINCT FROM nomenclature.group_external_id
    LEFT JOIN stage_goods AS staged ON staged.external_id = nomenclature.external_id
    WHERE nomenclature.active AND nomenclature.first_exchange_id IS DISTINCT FROM :exchange_id
)
SELECT
    count(*) AS in_scope,
    count(*) FILTER (WHERE is_absent) AS absent,
    (
        SELECT coalesce(jsonb_agg(jsonb_build_object('external_id', shown.external_id, 'name', shown.name)), '[]'::jsonb)
        FROM (SELECT * FROM known AS one WHERE one.is_absent ORDER BY one.name, one.external_id LIMIT :examples) AS shown
    ) AS examples
FROM known
