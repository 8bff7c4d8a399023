-- Seats of approvals under way that are addressed to somebody by name (:key is «person:17»), and those that lie with him now as
-- somebody's head, as the responsible … (named = false: they follow whom they are addressed to).
-- Called by include/staff/holdings.py: approvals.
SELECT seat.id, approval.id AS approval_id, approval.case_id, approval.title, seat.title AS seat_title, seat.due_at,
       approval.initiator_id,
       :key = ANY(string_to_array(seat.address, '|')) AS named
FROM approval_seat seat
JOIN approval ON approval.id = seat.approval_id AND approval.state IN ('open', 'rework') AND approval.round = seat.round
WHERE seat.state <> 'voided'
  AND (
      :key = ANY(string_to_array(seat.address, '|'))
      OR (seat.state = 'asked' AND :key IN (seat.holder, seat.fallback))
  )
ORDER BY approval.case_id, seat.id
