-- Who acts at :now for each of :people who is away: the end of his chain of substitutes, when somebody present stands
-- there. Called by include/staff/stand_in.py: stand_ins.
WITH RECURSIVE chain AS (
    SELECT absence.person_id AS away, absence.substitute_id AS actor, ARRAY[absence.person_id] AS path
    FROM absence
    WHERE absence.person_id = ANY(:people) AND absence.cancelled_at IS NULL
      AND absence.begins_at <= :now AND absence.ends_at > :now
    UNION ALL
    SELECT chain.away, absence.substitute_id, chain.path || absence.person_id
    FROM chain
    JOIN absence ON absence.person_id = chain.actor
    WHERE absence.cancelled_at IS NULL AND absence.begins_at <= :now AND absence.ends_at > :now
      AND absence.person_id <> ALL(chain.path)
)
SELECT chain.away, chain.actor
FROM chain
WHERE NOT EXISTS (  -- he is there himself
    SELECT 1 FROM absence own
    WHERE own.person_id = chain.actor AND own.cancelled_at IS NULL AND own.begins_at <= :now AND own.ends_at > :now
)
AND NOT EXISTS (  -- and nobody on the way to him has been let go
    SELECT 1 FROM person WHERE person.id = ANY(chain.path || chain.actor) AND NOT person.active
)
AND chain.actor IS NOT NULL
