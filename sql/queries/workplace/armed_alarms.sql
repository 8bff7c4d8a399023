-- Armed alarms of the open tasks of the people :people (or of the task :task), the nearest first.
-- Called by include/workplace/day.py and include/workplace/task_view.py.
SELECT
    alarm.id, alarm.title, alarm.moment, alarm.spec ->> 'why' AS why, told.tells,
    task.id AS task_id, task.title AS task_title,
    case_row.id AS case_id, case_row.key AS case_key, case_row.title AS case_title, case_row.time_zone,
    deal.id AS deal_id, stage.title AS stage
FROM task
JOIN step_state alarm
    ON alarm.instance_id = task.instance_id AND alarm.word = 'Alarm' AND alarm.state = 'waiting'
    AND alarm.moment IS NOT NULL AND alarm.spec -> 'of' @> to_jsonb(task.step)
JOIN process_case case_row ON case_row.id = task.case_id
LEFT JOIN deal ON deal.case_id = task.case_id
LEFT JOIN stage ON stage.id = deal.stage_id
LEFT JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object('id', person.id, 'name', concat_ws(
        ' ', person.last_name, nullif(left(person.first_name, 1), '') || '.', nullif(left(person.middle_name, 1), '') || '.')
    ) ORDER BY array_position(alarm.waits_on, person.id)) AS tells
    FROM person
    WHERE person.id = ANY(alarm.waits_on)
) told ON true
WHERE task.state = 'open'
    AND (CAST(:people AS bigint[]) IS NULL OR task.executor_id = ANY(:people))
    AND (CAST(:task AS bigint) IS NULL OR task.id = :task)
ORDER BY alarm.moment, alarm.id
LIMIT :limit
