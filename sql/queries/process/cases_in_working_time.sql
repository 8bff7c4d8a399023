-- Cases with a wait that counts working days or hours, written in its step or kept in a setting.
-- Called by include/shared/calendar.py: set_day, remove_day.
WITH working_terms AS (
    SELECT coalesce(jsonb_agg(code), '[]'::jsonb) AS codes
    FROM setting
    WHERE kind = 'term' AND jsonb_exists_any(value, ARRAY['working_days', 'working_hours'])
)

SELECT DISTINCT step.case_id
FROM step_state step
CROSS JOIN working_terms
WHERE step.state = 'waiting'
  AND (
      jsonb_path_exists(step.spec, '$.** ? (exists (@.working_days) || exists (@.working_hours))')
      OR jsonb_path_exists(
          step.spec, '$.**.setting ? (@ == $codes[*])', jsonb_build_object('codes', working_terms.codes)
      )
  )
