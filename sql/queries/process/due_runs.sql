-- Runs with a wait whose moment has come. Called by include/process/reading.py: due_runs.
SELECT DISTINCT instance.process, instance.run_id
FROM step_state step
JOIN process_instance instance ON instance.id = step.instance_id
WHERE step.state = 'waiting' AND step.moment <= :now
