-- The approvals :ids in a line each: what is asked, about what, and until when the nearest of those asked answers.
-- Called by include/workplace/day_groups.py («Мой день»).
SELECT approval.id, approval.title, case_row.title AS case_title, min(seat.due_at) AS due_at
FROM approval
JOIN process_case case_row ON case_row.id = approval.case_id
LEFT JOIN approval_seat seat
    ON seat.approval_id = approval.id AND seat.round = approval.round AND seat.state = 'asked'
WHERE approval.id = ANY(:ids)
GROUP BY approval.id, case_row.id
