-- A company that has worked for half a year, made in one go by tests/bench/company.py. Parameters: deals, people,
-- departments, companies, approvals; five tasks a deal. What it writes keeps sql/queries/ops/invariants.sql empty:
-- each stay has its event, each move and task its audit, each open task a waiting step of a live run.
SET LOCAL statement_timeout = 0;
SET LOCAL synchronous_commit = off;

INSERT INTO department (id, name)
SELECT n, 'Отдел ' || n FROM generate_series(1, %(departments)s) n;

INSERT INTO person (id, last_name, first_name, middle_name, post, email, department_id)
SELECT n, (ARRAY['Иванова', 'Петров', 'Сидорова', 'Кузнецов', 'Смирнова', 'Попов', 'Лебедева', 'Козлов'])[1 + mod(n, 8)]
       || '-' || n, 'Имя', 'Отчество', 'Менеджер', 'person' || n || '@example.ru', 1 + mod(n, %(departments)s)
FROM generate_series(1, %(people)s) n;

-- the first person of each department leads it
UPDATE department SET head_id = first.id
FROM (SELECT department_id, min(id) AS id FROM person GROUP BY department_id) first
WHERE first.department_id = department.id;

INSERT INTO company (id, name, full_name, inn, search_key, created_at)
SELECT n, 'ООО «Завод ' || n || '»', 'Общество с ограниченной ответственностью «Завод ' || n || '»',
       lpad((7700000000 + n)::text, 10, '0'), 'ооо завод ' || n, now() - interval '200 days'
FROM generate_series(1, %(companies)s) n;

-- the plan: three quarters of the deals are over, the youngest quarter stands on all stages of its funnel
CREATE TEMPORARY TABLE plan ON COMMIT DROP AS
WITH line AS (
    SELECT funnel_code,
           array_agg(id ORDER BY position) FILTER (WHERE kind = 'open' AND active) AS open,
           (array_agg(id ORDER BY position) FILTER (WHERE kind = 'won'))[1] AS won,
           (array_agg(id ORDER BY position) FILTER (WHERE kind = 'lost'))[1] AS lost
    FROM stage WHERE funnel_code IN ('goods', 'services') GROUP BY funnel_code
), deal AS (
    SELECT n, n AS case_id, CASE WHEN mod(n, 5) = 0 THEN 'services' ELSE 'goods' END AS funnel_code,
           n <= 0.75 * %(deals)s AS is_over,
           1 + mod(n * 7919, %(people)s) AS responsible_id,
           date_trunc('second', now()) - make_interval(hours => 26)
               - (%(deals)s - n) * (interval '180 days' / %(deals)s) AS created_at
    FROM generate_series(1, %(deals)s) n
)
SELECT deal.*, line.open,
       CASE WHEN NOT is_over THEN line.open[1 + mod(n / 5, cardinality(line.open))]
            WHEN mod(n, 3) = 0 THEN line.won ELSE line.lost END AS stage_id
FROM deal JOIN line USING (funnel_code);

INSERT INTO process_case (id, key, kind, title)
SELECT n, 'deal-' || n, 'deal', 'Поставка ' || n || ' для завода' FROM plan ORDER BY n;

INSERT INTO deal (id, case_id, title, search_key, funnel_code, stage_id, company_id, responsible_id, amount, paid, debt,
                  source, created_at, created_by, closed_at, fields)
SELECT n, case_id, 'Поставка ' || n || ' для завода', 'поставка ' || n || ' для завода', funnel_code, stage_id,
       1 + mod(n, %(companies)s), responsible_id, 10000 + mod(n * 37, 900000), 0, 10000 + mod(n * 37, 900000), 'Сайт',
       created_at, responsible_id, CASE WHEN is_over THEN created_at + interval '20 hours' END,
       '{"complexity": "simple"}'
FROM plan ORDER BY n;

-- stays: the first stage, then (if another) the present one, four hours later
CREATE TEMPORARY TABLE stay ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY entered_at, n, place) AS id, part.*
FROM (
    SELECT n, case_id, 1 AS place, open[1] AS stage_id, NULL::bigint AS from_stage_id, created_at AS entered_at,
           CASE WHEN stage_id <> open[1] THEN created_at + interval '4 hours' END AS left_at, responsible_id
    FROM plan
    UNION ALL
    SELECT n, case_id, 2, stage_id, open[1], created_at + interval '4 hours', NULL, responsible_id
    FROM plan WHERE stage_id <> open[1]
) part;

INSERT INTO stage_visit (id, deal_id, stage_id, from_stage_id, entered_at, entered_by, left_at, left_by)
SELECT id, n, stage_id, from_stage_id, entered_at, responsible_id, left_at, CASE WHEN left_at IS NOT NULL THEN responsible_id END
FROM stay ORDER BY id;

INSERT INTO outbox_event (kind, listen_key, case_id, visit, payload, state, created_at, next_try_at, done_at)
SELECT 'stage_entered', 'on:stage:' || stage_id, case_id, 'visit-' || id, jsonb_build_object('visit_id', id), 'done',
       entered_at, entered_at, entered_at
FROM stay ORDER BY id;

INSERT INTO audit (at, actor_id, actor_kind, action, case_id, entity, entity_id, text)
SELECT created_at, responsible_id, 'person', 'deal.created', case_id, 'deal', n, 'Сделка создана' FROM plan
UNION ALL
SELECT entered_at, responsible_id, 'person', 'deal.moved', case_id, 'deal', n, 'Сделка переведена на следующую стадию'
FROM stay WHERE place = 2;

INSERT INTO process_scheme (id, process, digest, title, number, body)
SELECT 1, 'goods_quote', 'bench', 'Работа с клиентом', 1, jsonb_build_object('title', 'Работа с клиентом', 'number', 1,
    'settings', '[]'::jsonb, 'steps', jsonb_agg(jsonb_build_object(
        'id', 'step_' || k, 'title', 'Шаг ' || k || ' работы с клиентом', 'word', 'EmployeeTask', 'upstream', '[]'::jsonb)))
FROM generate_series(1, 5) k;

INSERT INTO process_instance (id, process, case_id, visit, run_id, scheme_id, state, stage_id, payload, started_at, ended_at)
SELECT plan.n, 'goods_quote', plan.case_id, 'visit-' || stay.id, 'visit-' || stay.id, 1,
       CASE WHEN is_over THEN 'ended' ELSE 'live' END, plan.stage_id, jsonb_build_object('visit_id', stay.id),
       stay.entered_at, CASE WHEN is_over THEN stay.entered_at + interval '16 hours' END
FROM plan JOIN stay ON stay.n = plan.n AND stay.left_at IS NULL ORDER BY plan.n;

-- work: of the five tasks of a live deal two are open; a few have no term, some are late
CREATE TEMPORARY TABLE work ON COMMIT DROP AS
SELECT (plan.n - 1) * 5 + k AS id, plan.n, plan.case_id, k, plan.created_at + make_interval(hours => k) AS created_at,
       NOT plan.is_over AND k >= 4 AS is_open,
       1 + mod(plan.responsible_id - 1 + CASE WHEN k = 5 THEN %(departments)s ELSE 0 END, %(people)s) AS executor_id,
       plan.responsible_id,
       CASE WHEN mod(plan.n, 17) = 0 THEN NULL
            WHEN NOT plan.is_over AND k >= 4 THEN now() + make_interval(hours => mod(plan.n * 31 + k * 7, 480)::int - 60)
            ELSE plan.created_at + make_interval(days => k::int) END AS due_at
FROM plan CROSS JOIN generate_series(1, 5) k;

INSERT INTO task (id, key, case_id, instance_id, step, topic, title, description, addressed_to, executor_id, due_at,
                  state, created_at, closed_at, closed_by, result_fields)
SELECT id, 'goods_quote/deal-' || n || '/bench/step_' || k || '/1', case_id, n, 'step_' || k, 'step_' || k,
       (ARRAY['Позвонить клиенту', 'Подготовить КП', 'Согласовать условия', 'Отправить КП', 'Получить обратную связь'])[k]
       || ': поставка ' || n, 'Созвонитесь и запишите итог.', 'responsible', executor_id, due_at,
       CASE WHEN is_open THEN 'open' ELSE 'done' END, created_at,
       CASE WHEN NOT is_open THEN created_at + interval '2 hours' END, CASE WHEN NOT is_open THEN executor_id END,
       '{"fields": []}'
FROM work ORDER BY id;

INSERT INTO task_observer (task_id, person_id)
SELECT id, responsible_id FROM work WHERE k = 5 AND executor_id <> responsible_id;

INSERT INTO audit (at, actor_kind, action, case_id, entity, entity_id, text)
SELECT created_at, 'process', 'task.given', case_id, 'task', id, 'Поставлена задача' FROM work ORDER BY id;
INSERT INTO audit (at, actor_id, actor_kind, action, case_id, entity, entity_id, text)
SELECT created_at + interval '2 hours', executor_id, 'person', 'task.done', case_id, 'task', id, 'Задача выполнена'
FROM work WHERE NOT is_open ORDER BY id;

INSERT INTO step_state (id, instance_id, case_id, step, word, title, spec, state, task_id, waits_for, waits_on,
                        comes_next, looked_seq, opened_at, ended_at)
SELECT id, n, case_id, 'step_' || k, 'EmployeeTask', 'Шаг ' || k || ' работы с клиентом',
       jsonb_build_object('word', 'EmployeeTask', 'title', 'Шаг ' || k), CASE WHEN is_open THEN 'waiting' ELSE 'done' END,
       id, CASE WHEN is_open THEN 'закрытия задачи' END, CASE WHEN is_open THEN ARRAY[executor_id] ELSE '{}' END,
       CASE WHEN k < 5 THEN 'Шаг ' || k + 1 || ' работы с клиентом' END, 1, created_at,
       CASE WHEN NOT is_open THEN created_at + interval '2 hours' END
FROM work ORDER BY id;

-- each open task has its warning
INSERT INTO step_state (id, instance_id, case_id, step, word, title, spec, state, waits_for, waits_on, moment,
                        looked_seq, opened_at)
SELECT 5 * %(deals)s + id, n, case_id, 'late_' || k, 'Alarm', 'Предупредить о задаче ' || k,
       jsonb_build_object('word', 'Alarm', 'of', 'step_' || k, 'why', 'задача не закрыта в срок'), 'waiting',
       'срока задачи', ARRAY[responsible_id], greatest(due_at, now() + interval '1 day') + interval '1 day', 1, created_at
FROM work WHERE is_open ORDER BY id;
INSERT INTO step_aim (step_id, moment, reason, aimed_at)
SELECT id, moment, 'срок задачи', opened_at FROM step_state WHERE word = 'Alarm' ORDER BY id;

INSERT INTO notice (key, person_id, text, case_id, task_id, created_at, read_at)
SELECT 'goods_quote/deal-' || n || '/step_' || k || '/given/1', executor_id, 'Вам поставлена задача по поставке ' || n,
       case_id, id, created_at, CASE WHEN NOT is_open OR mod(n, 3) > 0 THEN created_at + interval '1 hour' END
FROM work ORDER BY id;

INSERT INTO comment (case_id, author_id, text, said_at)
SELECT case_id, responsible_id, 'Клиент просит ускорить отгрузку, поставка ' || n, created_at + interval '5 hours'
FROM plan WHERE mod(n, 2) = 0 ORDER BY n;

INSERT INTO approval (id, key, case_id, step, title, initiator_id, state, term, created_at, closed_at)
SELECT row_number() OVER (ORDER BY n), 'bench/deal-' || n || '/approval', case_id, 'approval', 'Согласовать договор ' || n,
       responsible_id, CASE WHEN is_over THEN 'approved' ELSE 'open' END, '{"working_days": 2}', created_at,
       CASE WHEN is_over THEN created_at + interval '10 hours' END
FROM plan WHERE mod(n, greatest(1, %(deals)s / %(approvals)s)) = 0;
INSERT INTO approval_seat (approval_id, round, position, title, address, holder, state, asked_at, due_at, decided_at, decided_by)
SELECT id, 1, 1, 'Утверждающий договор', 'head', 'person:' || 1 + mod(initiator_id, %(people)s),
       CASE state WHEN 'open' THEN 'asked' ELSE 'approved' END, created_at, created_at + interval '2 days', closed_at,
       CASE WHEN closed_at IS NOT NULL THEN 1 + mod(initiator_id, %(people)s) END
FROM approval ORDER BY id;
