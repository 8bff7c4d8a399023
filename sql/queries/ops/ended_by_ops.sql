-- Instances that ended because their run was deleted or marked in Airflow, the newest first.
-- Called by include/ops/state.py: the ops page.
SELECT instance.ended_at AS at, 'Процесс «' || scheme.title || '» окончен: ' || instance.reason AS text,
       case_row.id AS case_id, case_row.kind AS case_kind, case_row.title AS case_title, deal.id AS deal_id
FROM process_instance instance
JOIN process_scheme scheme ON scheme.id = instance.scheme_id
JOIN process_case case_row ON case_row.id = instance.case_id
LEFT JOIN deal ON deal.case_id = case_row.id
WHERE instance.state = 'ended' AND instance.ended_at > CAST(:since AS timestamptz) AND instance.reason = ANY(:reasons)
ORDER BY instance.ended_at DESC
LIMIT :limit
