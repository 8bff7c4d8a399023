-- Called by include/workplace/nomenclature.py: the ids of 1C of a group of goods and of all groups below it.
WITH RECURSIVE subtree AS (
    SELECT external_id
    FROM nomenclature_group
    WHERE id = :id
    UNION
    SELECT lower.external_id
    FROM subtree
    INNER JOIN nomenclature_group AS lower ON lower.parent_external_id = subtree.external_id
)
SELECT external_id
FROM subtree
