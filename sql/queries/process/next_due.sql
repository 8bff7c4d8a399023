-- The earliest moment that live waits aim at, with their cases. Called by include/process/reading.py: due_cases.
SELECT step.moment, case_row.key
FROM step_state step
JOIN process_case case_row ON case_row.id = step.case_id
WHERE step.state = 'waiting'
  AND step.moment = (SELECT min(moment) FROM step_state WHERE state = 'waiting' AND moment IS NOT NULL)
GROUP BY step.moment, case_row.key
ORDER BY case_row.key
