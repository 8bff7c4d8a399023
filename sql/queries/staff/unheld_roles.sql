-- Roles that nobody who works here holds and that open tasks may be addressed to, by themselves or through a setting.
-- Called by include/workplace/people.py: unheld_roles.
WITH addressed AS (
    SELECT DISTINCT addressed_to FROM task WHERE state = 'open'
)
SELECT role.code, role.title
FROM role
WHERE NOT EXISTS (
    SELECT FROM role one
    LEFT JOIN department ON department.id = one.department_id
    LEFT JOIN role_holder held ON held.role_code = one.code AND one.department_id IS NULL
    JOIN person ON person.id = coalesce(department.head_id, held.person_id) AND person.active
    WHERE one.code = role.code
)
AND (
    EXISTS (SELECT FROM addressed WHERE 'role:' || role.code = ANY(string_to_array(addressed_to, '|')))
    OR EXISTS (SELECT FROM setting WHERE setting.kind = 'role' AND setting.value = to_jsonb(role.code))
)
ORDER BY role.title
