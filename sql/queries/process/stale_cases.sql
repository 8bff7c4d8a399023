-- Cases with a wait that has not seen the last change, or whose moment has come.
-- Called by include/process/engine.py: stale_cases (hub's sweep and re-check after a reconnect).
SELECT case_row.key
FROM step_state step
JOIN process_case case_row ON case_row.id = step.case_id
WHERE step.state = 'waiting' AND step.looked_seq < case_row.seq
UNION
SELECT case_row.key
FROM step_state step
JOIN process_case case_row ON case_row.id = step.case_id
WHERE step.state = 'waiting' AND step.moment <= :now
