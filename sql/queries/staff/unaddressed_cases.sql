-- Cases with a task that waits for somebody to be given to. Called by include/staff/services.py: wake_unaddressed.
SELECT DISTINCT step.case_id
FROM step_state step
WHERE step.state = 'waiting' AND step.word IN ('EmployeeTask', 'Confirm', 'FormRequest') AND step.task_id IS NULL
