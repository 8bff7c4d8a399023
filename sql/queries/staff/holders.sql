-- Active people who hold the role :role, lowest id first; the head of its department when it follows the structure
-- (R001-18). Called by include/staff/services.py: holders.
SELECT person.id
FROM role
LEFT JOIN department ON department.id = role.department_id
LEFT JOIN role_holder held ON held.role_code = role.code AND role.department_id IS NULL
JOIN person ON person.id = coalesce(department.head_id, held.person_id) AND person.active
WHERE role.code = :role
ORDER BY person.id
