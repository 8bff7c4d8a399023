-- What can be said about the cases :cases that have no waiting step: where the deal stands, what comes next on its
-- funnel, what is open, and whether a process is just being started. Called by include/workplace/lines.py.
SELECT
    case_row.id AS case_id, deal.id AS deal_id, deal.responsible_id, stage.title AS stage, stage.kind AS stage_kind,
    following.title AS next_stage, open_tasks.titles AS open_tasks, events.pending, events.dead, running.titles AS running
FROM process_case case_row
LEFT JOIN deal ON deal.case_id = case_row.id
LEFT JOIN stage ON stage.id = deal.stage_id
LEFT JOIN LATERAL (
    SELECT ahead.title
    FROM stage ahead
    WHERE ahead.funnel_code = stage.funnel_code AND ahead.position > stage.position AND ahead.kind <> 'lost'
    ORDER BY ahead.position
    LIMIT 1
) following ON true
LEFT JOIN LATERAL (
    SELECT array_agg(task.title ORDER BY task.due_at, task.id) AS titles
    FROM task
    WHERE task.case_id = case_row.id AND task.state = 'open'
) open_tasks ON true
LEFT JOIN LATERAL (
    SELECT
        count(*) FILTER (WHERE event.state = 'pending') AS pending,
        count(*) FILTER (WHERE event.state = 'dead') AS dead
    FROM outbox_event event
    WHERE event.case_id = case_row.id
) events ON true
LEFT JOIN LATERAL (
    SELECT array_agg(scheme.title ORDER BY instance.id) AS titles
    FROM process_instance instance
    JOIN process_scheme scheme ON scheme.id = instance.scheme_id
    WHERE instance.case_id = case_row.id AND instance.state = 'live'
) running ON true
WHERE case_row.id = ANY(:cases)
