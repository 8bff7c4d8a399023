-- Requests under way (no deal yet) whose responsible is :person: begun, or about to begin by an event that waits.
-- Called by include/staff/holdings.py: requests.
SELECT case_row.id AS case_id, case_row.title
FROM process_case case_row
WHERE NOT EXISTS (SELECT FROM deal WHERE deal.case_id = case_row.id)
  AND case_row.id IN (
      SELECT instance.case_id FROM process_instance instance
      WHERE instance.state = 'live'
        AND to_jsonb(CAST(:person AS bigint)) IN (instance.payload -> 'responsible', instance.payload -> 'form' -> 'responsible_id')
      UNION
      SELECT event.case_id FROM outbox_event event
      WHERE event.state = 'pending'
        AND to_jsonb(CAST(:person AS bigint)) IN (event.payload -> 'responsible', event.payload -> 'form' -> 'responsible_id')
  )
ORDER BY case_row.id
