-- How long people's answers took to move their cases, of steps since :since (the database's time, at most a batch):
-- "step" – from the closing of a task to the end of its step; "next" – from the end of a step to the beginning of the
-- next one in its run. Called by include/ops/measures.py: the metrics.
SELECT 'step' AS kind, extract(epoch FROM step.ended_at - task.closed_at)::float AS seconds
FROM step_state step
JOIN task ON task.id = step.task_id AND task.state = 'done'
WHERE step.state = 'done' AND step.word IN ('EmployeeTask', 'Confirm', 'FormRequest')
  AND step.ended_at > :since AND step.ended_at <= :until
  AND task.closed_at IS NOT NULL AND task.closed_at >= step.opened_at
UNION ALL
SELECT 'next', extract(epoch FROM step.opened_at - before.ended_at)::float
FROM step_state step
JOIN LATERAL (
    SELECT max(earlier.ended_at) AS ended_at FROM step_state earlier
    WHERE earlier.instance_id = step.instance_id AND earlier.ended_at <= step.opened_at) before ON true
WHERE step.id > (SELECT max(newest.id) FROM step_state newest) - 20000  -- begun lately: no index on opened_at needed
  AND step.opened_at > :since AND step.opened_at <= :until AND before.ended_at IS NOT NULL
LIMIT 5000
