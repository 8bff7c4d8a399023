-- Roles that nobody who works here holds. Called by include/workplace/people.py: unheld_roles.
SELECT role.code, role.title
FROM role
WHERE NOT EXISTS (
    SELECT FROM role one
    LEFT JOIN department ON department.id = one.department_id
    LEFT JOIN role_holder held ON held.role_code = one.code AND one.department_id IS NULL
    JOIN person ON person.id = coalesce(department.head_id, held.person_id) AND person.active
    WHERE one.code = role.code
)
ORDER BY role.title
