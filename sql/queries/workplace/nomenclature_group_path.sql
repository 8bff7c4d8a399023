-- Called by include/workplace/nomenclature.py: a group of goods and those above it, the outermost first.
WITH RECURSIVE path AS (
    SELECT id, name, parent_external_id, 1 AS depth, ARRAY[external_id] AS seen
    FROM nomenclature_group
    WHERE external_id = :external_id
    UNION ALL
    SELECT upper.id, upper.name, upper.parent_external_id, path.depth + 1, path.seen || upper.external_id
    FROM path
    INNER JOIN nomenclature_group AS upper ON upper.external_id = path.parent_external_id
    WHERE path.depth < 30 AND NOT upper.external_id = ANY(path.seen)
)
SELECT id, name
FROM path
ORDER BY depth DESC
