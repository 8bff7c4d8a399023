-- Waiting and stuck steps of the cases :cases, the most telling first: a failed step (nothing may hide it), a person's
-- task, another wait, an alarm. Called by include/workplace/lines.py (board, card, lists).
SELECT
    step.id, step.case_id, step.step, step.word, step.title, step.state, step.reason, step.waits_for, step.waits_on,
    coalesce(step.moment, asked.due_at) AS moment, step.comes_next, step.task_id, step.approval_id,
    instance.process, instance.visit, (step.retried_at IS NOT NULL AND step.ended_at IS NULL) AS retried,
    task.due_at, task.executor_id, task.state AS task_state, following.title AS next_stage,
    CASE
        WHEN step.state <> 'waiting' THEN -1
        WHEN step.word IN ('EmployeeTask', 'Confirm', 'FormRequest', 'Approval', 'Rework') THEN 0
        WHEN step.word IN ('Alarm', 'Repeat') THEN 3
        ELSE 1
    END AS rank
FROM (
    SELECT waiting.id FROM step_state waiting WHERE waiting.case_id = ANY(:cases) AND waiting.state = 'waiting'
    UNION ALL
    SELECT stuck.id
    FROM step_state stuck
    JOIN process_instance live ON live.id = stuck.instance_id AND live.state = 'live'
    WHERE stuck.case_id = ANY(:cases) AND stuck.state IN ('failed', 'marked')
) found
JOIN step_state step ON step.id = found.id
JOIN process_instance instance ON instance.id = step.instance_id
LEFT JOIN task ON task.id = step.task_id
LEFT JOIN LATERAL (
    SELECT min(seat.due_at) AS due_at FROM approval_seat seat
    WHERE seat.approval_id = step.approval_id AND seat.state = 'asked'
) asked ON true
LEFT JOIN deal ON deal.case_id = step.case_id
LEFT JOIN LATERAL (
    SELECT ahead.title
    FROM stage here
    JOIN stage ahead ON ahead.funnel_code = here.funnel_code AND ahead.position > here.position AND ahead.kind <> 'lost'
    WHERE here.id = deal.stage_id AND here.id = instance.stage_id AND here.kind = 'open'
    ORDER BY ahead.position
    LIMIT 1
) following ON true
ORDER BY step.case_id, rank, coalesce(step.moment, asked.due_at, task.due_at) NULLS LAST, step.id
