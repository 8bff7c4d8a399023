-- What must never be true once the system is quiet: one row per violation, no rows when nothing is lost and nothing
-- doubled. Parameters: :now – business time; :machine_now – the machine's; :grace – seconds that work may be under way.
-- Called by include/process/reading.py: violations (doctor and tests).
WITH clock AS (
    SELECT CAST(:now AS timestamptz) - make_interval(secs => CAST(:grace AS double precision)) AS due,
           CAST(:machine_now AS timestamptz) - make_interval(secs => CAST(:grace AS double precision)) AS machine_due,
           -- events of deals that closed before this moment may be gone (retention)
           CAST(:now AS timestamptz) - make_interval(days => least(nullif(coalesce(
               (SELECT CAST(value AS int) FROM setting WHERE code = 'retention_events_days'), 180), 0), 36500)) AS events_from
), found AS (

SELECT 'instance_without_wait' AS kind, instance.case_id,
       'живой заход ' || instance.process || ' ' || instance.run_id || ' ничего не ждёт' AS text
FROM process_instance instance, clock
WHERE instance.state = 'live' AND instance.started_at <= clock.due
  AND NOT EXISTS (
      SELECT FROM step_state step
      WHERE step.instance_id = instance.id AND step.state IN ('waiting', 'failed', 'marked'))

UNION ALL
SELECT 'wait_of_ended_instance', step.case_id, 'шаг «' || step.title || '» ждёт в оконченном заходе'
FROM step_state step
JOIN process_instance instance ON instance.id = step.instance_id
WHERE step.state = 'waiting' AND instance.state = 'ended'

UNION ALL
SELECT 'task_without_wait', task.case_id, 'открытую задачу «' || task.title || '» не ждёт ни один шаг: ' || task.key
FROM task
WHERE task.state = 'open' AND task.instance_id IS NOT NULL
  AND NOT EXISTS (
      SELECT FROM step_state step
      JOIN process_instance instance ON instance.id = step.instance_id AND instance.state = 'live'
      WHERE (step.task_id = task.id OR step.approval_id = task.approval_id) AND step.state = 'waiting')

UNION ALL
SELECT 'task_of_two_waits', task.case_id, 'задачу «' || task.title || '» ждут два шага: ' || task.key
FROM task
JOIN step_state step ON step.task_id = task.id AND step.state = 'waiting'
WHERE task.state = 'open'
GROUP BY task.id
HAVING count(*) > 1

UNION ALL
SELECT 'wait_for_closed_task', step.case_id, 'шаг «' || step.title || '» не заметил, что задача закрыта'
FROM step_state step
JOIN task ON task.id = step.task_id
JOIN process_case case_row ON case_row.id = step.case_id
WHERE step.state = 'waiting' AND step.word IN ('EmployeeTask', 'Confirm', 'FormRequest') AND task.state <> 'open'

UNION ALL
SELECT 'two_open_tasks_of_topic', case_id, 'две открытые задачи на тему ' || topic
FROM task
WHERE state = 'open'
GROUP BY case_id, topic
HAVING count(*) > 1

UNION ALL
SELECT 'task_done_twice', case_id, 'за один заход дважды выполнена задача шага ' || min(key)
FROM task
WHERE state = 'done' AND kind <> 'fix'  -- each round of an approval has a fix of its own
GROUP BY case_id, regexp_replace(key, '/[0-9]+$', '')
HAVING count(*) > 1

UNION ALL
SELECT 'notice_doubled', case_id, 'сотрудник № ' || person_id || ' дважды извещён: ' || min(text)
FROM notice
WHERE key ~ '/(given|fired/[^/]+|overdue/[^/]+)/[0-9]+$' AND task_id IS NOT NULL
-- whichever visit said it: a task that a new visit joins is not announced, warned of or overdue again
GROUP BY case_id, task_id, person_id, text, substring(key FROM '/(given|fired/[^/]+|overdue/[^/]+)/[0-9]+$')
HAVING count(*) > 1

UNION ALL
SELECT 'alarm_doubled', case_id, 'предупреждение сработало дважды: ' || min(text)
FROM audit
WHERE action = 'alarm.fired'
GROUP BY case_id, entity_id, after ->> 'moment'
HAVING count(*) > 1

UNION ALL
SELECT 'alarm_outlived_its_task', step.case_id, 'предупреждение «' || step.title || '» ждёт закрытую задачу'
FROM step_state step
JOIN step_state watched ON watched.instance_id = step.instance_id AND watched.step = step.spec ->> 'of'
WHERE step.word = 'Alarm' AND step.state = 'waiting' AND coalesce(step.spec ->> 'lives', 'task') = 'task'
  AND watched.state IN ('done', 'skipped', 'stopped')

UNION ALL
SELECT 'event_pending', event.case_id, 'событие ' || event.id || ' ' || event.listen_key || ' не передано'
FROM outbox_event event, clock
WHERE event.state = 'pending' AND event.created_at <= clock.machine_due

UNION ALL
SELECT 'event_dead', event.case_id, 'событие ' || event.id || ' не разобрано: ' || coalesce(event.error, '')
FROM outbox_event event
WHERE event.state = 'dead'

UNION ALL
SELECT 'change_unseen', step.case_id,
       'шаг «' || step.title || '» видел перемену ' || step.looked_seq || ' из ' || case_row.seq
FROM step_state step
JOIN process_case case_row ON case_row.id = step.case_id
WHERE step.state = 'waiting' AND step.looked_seq <> case_row.seq

UNION ALL
SELECT 'moment_passed', step.case_id, 'момент шага «' || step.title || '» прошёл: ' || step.moment
FROM step_state step, clock
WHERE step.state = 'waiting' AND step.moment <= clock.due

UNION ALL
SELECT 'aim_without_wait', step.case_id, 'у оконченного шага «' || step.title || '» осталась цель'
FROM step_aim aim
JOIN step_state step ON step.id = aim.step_id
WHERE aim.superseded_at IS NULL AND step.state <> 'waiting'

UNION ALL
SELECT 'two_aims', step.case_id, 'у шага «' || step.title || '» две цели сразу'
FROM step_aim aim
JOIN step_state step ON step.id = aim.step_id
WHERE aim.superseded_at IS NULL
GROUP BY step.id
HAVING count(*) > 1

UNION ALL
SELECT 'visit_is_not_one', deal.case_id, 'нынешних пребываний у сделки ' || deal.id || ': ' || count(visit.id)
FROM deal
LEFT JOIN stage_visit visit ON visit.deal_id = deal.id AND visit.left_at IS NULL
GROUP BY deal.id
HAVING count(visit.id) <> 1 OR bool_or(visit.stage_id <> deal.stage_id)

UNION ALL
SELECT 'visit_without_event', deal.case_id, 'о пребывании ' || visit.id || ' нет события'
FROM stage_visit visit
JOIN deal ON deal.id = visit.deal_id
CROSS JOIN clock
WHERE coalesce(deal.closed_at >= clock.events_from, true) AND NOT EXISTS (
    SELECT FROM outbox_event event
    WHERE event.case_id = deal.case_id AND event.kind = 'stage_entered' AND event.visit = 'visit-' || visit.id)

UNION ALL
SELECT 'move_without_audit', deal.case_id, 'переводов ' || count(visit.id) || ', записей о них меньше'
FROM stage_visit visit
JOIN deal ON deal.id = visit.deal_id
WHERE visit.from_stage_id IS NOT NULL
GROUP BY deal.id
HAVING count(visit.id) <> (
    SELECT count(*) FROM audit
    WHERE audit.case_id = deal.case_id AND audit.action = 'deal.moved' AND audit.entity_id = deal.id)

UNION ALL
SELECT 'visits_out_of_line', line.case_id, 'пребывание ' || line.id || ' не продолжает прежнее: перевод потерян или удвоен'
FROM (
    SELECT visit.id, deal.case_id, visit.from_stage_id, visit.entered_at,
           lag(visit.stage_id) OVER before AS stage_before, lag(visit.left_at) OVER before AS left_before
    FROM stage_visit visit
    JOIN deal ON deal.id = visit.deal_id
    WINDOW before AS (PARTITION BY visit.deal_id ORDER BY visit.id)) line
WHERE line.from_stage_id IS DISTINCT FROM line.stage_before OR line.left_before IS DISTINCT FROM
      CASE WHEN line.stage_before IS NULL THEN NULL ELSE line.entered_at END

UNION ALL
-- whoever heard this key both before and after the event has heard the event itself; a day later nobody is asked any
-- more, so that a process that was taken out of use for a while is not held against its cases for ever
SELECT 'event_without_instance', event.case_id,
       'событие ' || event.id || ' ' || event.listen_key || ' не начало процесс ' || heard.process
FROM outbox_event event
JOIN (
    SELECT other.listen_key, instance.process, min(other.id) AS first, max(other.id) AS last
    FROM clock
    JOIN outbox_event other ON other.created_at > clock.machine_due - interval '1 day'
    JOIN process_instance instance ON instance.case_id = other.case_id AND instance.visit = other.visit
    GROUP BY other.listen_key, instance.process) heard
  ON heard.listen_key = event.listen_key AND event.id BETWEEN heard.first AND heard.last
WHERE event.state = 'done' AND NOT EXISTS (
    SELECT FROM process_instance instance
    WHERE instance.process = heard.process AND instance.case_id = event.case_id AND instance.visit = event.visit)

UNION ALL
SELECT 'instance_outlived_its_visit', instance.case_id,
       'заход ' || instance.process || ' ' || instance.run_id || ' не заметил, что сделка ушла со стадии'
FROM process_instance instance
JOIN stage_visit visit ON visit.id = CAST(instance.payload ->> 'visit_id' AS bigint) AND visit.left_at IS NOT NULL
WHERE instance.state = 'live' AND instance.left_at IS NULL AND instance.stage_id IS NOT NULL

UNION ALL
SELECT 'task_written_twice', task.case_id, 'задача «' || task.title || '» поставлена или закончена дважды'
FROM task
JOIN audit ON audit.entity = 'task' AND audit.entity_id = task.id
WHERE task.instance_id IS NOT NULL
GROUP BY task.id
HAVING count(*) FILTER (WHERE audit.action = 'task.given') > 1
    OR count(*) FILTER (WHERE audit.action IN ('task.done', 'task.withdrawn', 'task.replaced'))
       > 1 + count(*) FILTER (WHERE audit.action = 'task.reopened')

UNION ALL
SELECT 'task_without_audit', task.case_id, 'о задаче «' || task.title || '» нет записи ' || needed.action
FROM task
CROSS JOIN LATERAL (
    SELECT 'task.given' AS action UNION ALL SELECT 'task.' || task.state WHERE task.state <> 'open') needed
WHERE task.instance_id IS NOT NULL AND NOT EXISTS (
    SELECT FROM audit
    WHERE audit.case_id = task.case_id AND audit.entity = 'task' AND audit.entity_id = task.id
      AND audit.action = needed.action)

UNION ALL
SELECT 'approval_asks_nobody', approval.case_id, 'согласование «' || approval.title || '» никого не спрашивает'
FROM approval
WHERE approval.state = 'open' AND NOT EXISTS (
    SELECT FROM approval_seat seat
    WHERE seat.approval_id = approval.id AND seat.round = approval.round AND seat.state = 'asked')

UNION ALL
SELECT 'approval_asks_after_its_end', approval.case_id, 'по согласованию «' || approval.title || '» ещё спрашивают'
FROM approval_seat seat
JOIN approval ON approval.id = seat.approval_id
WHERE seat.state = 'asked' AND (approval.state <> 'open' OR seat.round <> approval.round)

UNION ALL
SELECT 'fix_is_not_one', approval.case_id, 'задач по замечаниям к «' || approval.title || '»: ' || count(task.id)
FROM approval
LEFT JOIN task ON task.approval_id = approval.id AND task.state = 'open'
GROUP BY approval.id
HAVING count(task.id) <> CASE approval.state WHEN 'rework' THEN 1 ELSE 0 END

UNION ALL
SELECT 'approval_without_wait', approval.case_id, 'согласование «' || approval.title || '» не ждёт ни один шаг'
FROM approval
WHERE approval.state IN ('open', 'rework') AND approval.instance_id IS NOT NULL
  AND NOT EXISTS (
      SELECT FROM step_state step
      JOIN process_instance instance ON instance.id = step.instance_id AND instance.state = 'live'
      WHERE step.approval_id = approval.id AND step.state = 'waiting')

UNION ALL
SELECT 'work_on_lost_deal', deal.case_id, 'у проигранной сделки осталась задача «' || task.title || '»'
FROM deal
JOIN stage ON stage.id = deal.stage_id AND stage.kind = 'lost'
JOIN task ON task.case_id = deal.case_id AND task.state = 'open' AND task.created_at <= deal.closed_at

)
SELECT found.kind, case_row.key AS case_key, found.text
FROM found
LEFT JOIN process_case case_row ON case_row.id = found.case_id
ORDER BY found.kind, found.case_id
