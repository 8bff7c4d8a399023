-- Roles held by any of :people: given to him, or following the head of a department (R001-18).
-- Called by include/staff/services.py: roles_of.
SELECT role.code
FROM role_holder held
JOIN role ON role.code = held.role_code AND role.department_id IS NULL
WHERE held.person_id = ANY(:people)
UNION
SELECT role.code
FROM department
JOIN role ON role.department_id = department.id
WHERE department.head_id = ANY(:people)
