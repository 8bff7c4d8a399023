-- What ops did in Airflow and the reconciler met, what was repeated and dropped here, the newest first.
-- Called by include/ops/state.py: the ops page.
SELECT audit.at, audit.action, audit.text, audit.reason, case_row.id AS case_id, case_row.kind AS case_kind,
       case_row.title AS case_title, deal.id AS deal_id,
       concat_ws(' ', person.last_name, person.first_name) AS who
FROM audit
LEFT JOIN process_case case_row ON case_row.id = audit.case_id
LEFT JOIN deal ON deal.case_id = case_row.id
LEFT JOIN person ON person.id = audit.actor_id
WHERE audit.action IN ('step.marked', 'step.retried', 'step.failed', 'event.repeated', 'event.dropped')
ORDER BY audit.id DESC
LIMIT :limit
