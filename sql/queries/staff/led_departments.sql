-- Departments led by :person_id with everything below them. Called by include/staff/services.py: viewer.
WITH RECURSIVE led AS (
    SELECT id FROM department WHERE head_id = :person_id
    UNION
    SELECT below.id FROM department below JOIN led ON below.parent_id = led.id
)
SELECT id FROM led
