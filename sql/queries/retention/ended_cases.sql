-- Cases that ended before :before and still have something that may go, by id after :after, at most :limit, with the
-- moment of their end. A case is live, however old, while its deal is open, an instance lives, work or a question is open
-- or an event waits: those are never here. The rows are locked: whoever reopens such a case waits; whoever holds one keeps
-- it out of this batch. Called by include/retention/services.py: clean.
SELECT case_row.id, greatest(deal.closed_at, last.ended_at) AS ended_at
FROM process_case case_row
LEFT JOIN deal ON deal.case_id = case_row.id
LEFT JOIN LATERAL (
    SELECT max(instance.ended_at) AS ended_at FROM process_instance instance WHERE instance.case_id = case_row.id
) last ON true
WHERE case_row.id > :after
  AND greatest(deal.closed_at, last.ended_at) < :before
  AND (deal.id IS NULL OR deal.closed_at IS NOT NULL)
  AND NOT EXISTS (SELECT FROM process_instance live WHERE live.case_id = case_row.id AND live.state = 'live')
  AND NOT EXISTS (SELECT FROM task WHERE task.case_id = case_row.id AND task.state = 'open')
  AND NOT EXISTS (
      SELECT FROM approval WHERE approval.case_id = case_row.id AND approval.state IN ('open', 'rework'))
  AND NOT EXISTS (
      SELECT FROM outbox_event event WHERE event.case_id = case_row.id AND event.state IN ('pending', 'dead'))
  AND (
      EXISTS (SELECT FROM outbox_event event WHERE event.case_id = case_row.id)
      OR EXISTS (SELECT FROM notice WHERE notice.case_id = case_row.id)
      OR EXISTS (
          SELECT FROM approval
          JOIN approval_seat seat ON seat.approval_id = approval.id
          JOIN decision_link link ON link.seat_id = seat.id
          WHERE approval.case_id = case_row.id))
ORDER BY case_row.id
LIMIT :limit
FOR NO KEY UPDATE OF case_row SKIP LOCKED
