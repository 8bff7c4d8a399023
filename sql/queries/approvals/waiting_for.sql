-- Approvals that wait for a viewer, the most urgent first, one row each: :people and :keys are pairs (for whom he may
-- answer – himself and the absent he stands in for – and a key under which that person's questions lie).
-- Called by include/approvals/inbox.py. The partial indexes of approval_seat over holder and fallback carry it.
WITH mine AS (
    SELECT * FROM unnest(CAST(:people AS bigint[]), CAST(:keys AS text[])) AS pair(person_id, key)
), ban AS (
    SELECT coalesce((SELECT value FROM setting WHERE code = 'approval_self_ban'), 'true'::jsonb) = 'true'::jsonb AS is_on
), waiting AS (
    SELECT DISTINCT ON (approval.id) approval.id AS approval_id, seat.id AS seat_id, seat.due_at
    FROM approval_seat seat
    JOIN approval ON approval.id = seat.approval_id
    CROSS JOIN ban
    LEFT JOIN LATERAL (
        SELECT version.uploaded_by
        FROM file_version version
        WHERE version.case_id = approval.case_id AND version.field = approval.field
        ORDER BY version.number DESC
        LIMIT 1
    ) present ON ban.is_on
    WHERE seat.state = 'asked'
      AND (seat.holder = ANY(CAST(:keys AS text[])) OR seat.fallback = ANY(CAST(:keys AS text[])))
      AND NOT (ban.is_on AND :viewer IN (coalesce(approval.initiator_id, 0), coalesce(present.uploaded_by, 0)))
      AND EXISTS (
          SELECT 1 FROM mine
          WHERE NOT (ban.is_on
                     AND mine.person_id IN (coalesce(approval.initiator_id, 0), coalesce(present.uploaded_by, 0)))
            AND (mine.key = seat.holder
                 OR mine.key = seat.fallback AND seat.holder LIKE 'role:%' AND NOT EXISTS (  -- nobody holds the role
                     SELECT 1
                     FROM role
                     LEFT JOIN department ON department.id = role.department_id
                     LEFT JOIN role_holder held ON held.role_code = role.code AND role.department_id IS NULL
                     JOIN person ON person.id = coalesce(department.head_id, held.person_id) AND person.active
                     WHERE role.code = substr(seat.holder, 6)))
            AND NOT (approval.mode = 'quorum' AND EXISTS (  -- everybody has one voice there
                SELECT 1 FROM approval_seat spent
                WHERE spent.approval_id = approval.id AND spent.round = seat.round
                  AND spent.state IN ('approved', 'rejected')
                  AND (spent.decided_by IN (:viewer, mine.person_id)
                       OR spent.decided_for IN (:viewer, mine.person_id)))))
    ORDER BY approval.id, seat.due_at NULLS LAST, seat.id
)
SELECT approval_id, seat_id, count(*) OVER () AS total
FROM waiting
ORDER BY due_at NULLS LAST, approval_id
LIMIT :limit OFFSET :offset
