-- Departments led by any of :people with everything below them. Called by include/staff/services.py: led_by.
WITH RECURSIVE led AS (
    SELECT id FROM department WHERE head_id = ANY(:people)
    UNION
    SELECT below.id FROM department below JOIN led ON below.parent_id = led.id
)
SELECT id FROM led
