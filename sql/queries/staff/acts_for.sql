-- Everybody away whom :person stands in for at :now, chains resolved. Called by include/staff/stand_in.py: acts_for.
-- Who is away himself acts for nobody (his own substitute does), so a cycle of substitutes ends in nobody.
WITH RECURSIVE behind AS (
    SELECT absence.person_id
    FROM absence JOIN person ON person.id = absence.person_id AND person.active
    WHERE absence.substitute_id = :person AND absence.cancelled_at IS NULL
      AND absence.begins_at <= :now AND absence.ends_at > :now
      AND NOT EXISTS (
          SELECT 1 FROM absence own
          WHERE own.person_id = :person AND own.cancelled_at IS NULL AND own.begins_at <= :now AND own.ends_at > :now
      )
    UNION
    SELECT absence.person_id
    FROM behind
    JOIN absence ON absence.substitute_id = behind.person_id
    JOIN person ON person.id = absence.person_id AND person.active
    WHERE absence.cancelled_at IS NULL AND absence.begins_at <= :now AND absence.ends_at > :now
)
SELECT person_id FROM behind
