-- Runs with a wait that has not seen the last change of its case, or whose moment has come.
-- Called by include/process/reading.py: stale_runs (the hub's sweep, and how far all is from quiet).
SELECT instance.process, instance.run_id
FROM step_state step
JOIN process_case case_row ON case_row.id = step.case_id
JOIN process_instance instance ON instance.id = step.instance_id
WHERE step.state = 'waiting' AND step.looked_seq < case_row.seq
UNION
SELECT instance.process, instance.run_id
FROM step_state step
JOIN process_instance instance ON instance.id = step.instance_id
WHERE step.state = 'waiting' AND step.moment <= :now
