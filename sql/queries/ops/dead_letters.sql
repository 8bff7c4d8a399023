-- Events that could not be handled, the newest first. Called by include/ops/state.py: the ops page.
SELECT event.id, event.kind, event.listen_key, event.visit, event.attempts, event.error, event.created_at,
       case_row.id AS case_id, case_row.kind AS case_kind, case_row.title AS case_title, deal.id AS deal_id
FROM outbox_event event
LEFT JOIN process_case case_row ON case_row.id = event.case_id
LEFT JOIN deal ON deal.case_id = case_row.id
WHERE event.state = 'dead'
ORDER BY event.id DESC
LIMIT :limit
