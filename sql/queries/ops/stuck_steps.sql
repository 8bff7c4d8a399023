-- Failed and marked steps of live instances, the newest first. Called by include/ops/state.py: the ops page.
SELECT step.id, step.state, step.step, step.title, step.reason, step.ended_at, step.retried_at,
       (step.retried_at IS NOT NULL AND step.ended_at IS NULL) AS retried,
       instance.process, instance.run_id, scheme.title AS process_title,
       case_row.id AS case_id, case_row.kind, case_row.title AS case_title, deal.id AS deal_id
FROM step_state step
JOIN process_instance instance ON instance.id = step.instance_id AND instance.state = 'live'
JOIN process_scheme scheme ON scheme.id = instance.scheme_id
JOIN process_case case_row ON case_row.id = step.case_id
LEFT JOIN deal ON deal.case_id = case_row.id
WHERE step.state IN ('failed', 'marked')
ORDER BY step.ended_at DESC NULLS FIRST, step.id DESC
LIMIT :limit
