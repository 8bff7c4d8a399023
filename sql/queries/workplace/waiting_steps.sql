-- Waiting and stuck steps of the cases :cases, the most telling first: a failed step (nothing may hide it), a person's
-- task, another wait, an alarm; with :first only the first of each case. Called by include/workplace/lines.py (board,
-- card, lists).
WITH found AS (
    SELECT waiting.* FROM step_state waiting WHERE waiting.case_id = ANY(:cases) AND waiting.state = 'waiting'
    UNION ALL
    SELECT stuck.*
    FROM step_state stuck
    JOIN process_instance live ON live.id = stuck.instance_id AND live.state = 'live'
    WHERE stuck.case_id = ANY(:cases) AND stuck.state IN ('failed', 'marked')
), told AS (
    SELECT
        found.*, coalesce(found.moment, asked.due_at) AS until,
        task.due_at, task.executor_id, task.state AS task_state,
        row_number() OVER (
            PARTITION BY found.case_id
            ORDER BY
                CASE
                    WHEN found.state <> 'waiting' THEN -1
                    WHEN found.word IN ('EmployeeTask', 'Confirm', 'FormRequest', 'Approval', 'Rework') THEN 0
                    WHEN found.word IN ('Alarm', 'Repeat') THEN 3
                    ELSE 1
                END,
                coalesce(found.moment, asked.due_at, task.due_at) NULLS LAST, found.id
        ) AS place
    FROM found
    LEFT JOIN task ON task.id = found.task_id
    LEFT JOIN LATERAL (
        SELECT min(seat.due_at) AS due_at FROM approval_seat seat
        WHERE seat.approval_id = found.approval_id AND seat.state = 'asked'
    ) asked ON found.approval_id IS NOT NULL
)
SELECT
    step.id, step.case_id, step.step, step.word, step.title, step.state, step.reason, step.waits_for, step.waits_on,
    step.until AS moment, step.comes_next, step.task_id, step.approval_id,
    instance.process, instance.visit, (step.retried_at IS NOT NULL AND step.ended_at IS NULL) AS retried,
    step.due_at, step.executor_id, step.task_state, following.title AS next_stage, case_row.time_zone
FROM told step
JOIN process_case case_row ON case_row.id = step.case_id
JOIN process_instance instance ON instance.id = step.instance_id
LEFT JOIN deal ON deal.case_id = step.case_id
LEFT JOIN LATERAL (
    SELECT ahead.title
    FROM stage here
    JOIN stage ahead ON ahead.funnel_code = here.funnel_code AND ahead.position > here.position AND ahead.kind <> 'lost'
    WHERE here.id = deal.stage_id AND here.id = instance.stage_id AND here.kind = 'open'
    ORDER BY ahead.position
    LIMIT 1
) following ON true
WHERE step.place = 1 OR NOT :first
ORDER BY step.case_id, step.place
