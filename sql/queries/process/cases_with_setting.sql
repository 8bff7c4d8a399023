-- Cases with a wait that reads the setting :code. Called by include/shared/settings.py: change.
SELECT DISTINCT step.case_id
FROM step_state step
WHERE step.state = 'waiting'
  AND jsonb_path_exists(step.spec, '$.**.setting ? (@ == $code)', jsonb_build_object('code', CAST(:code AS text)))
