-- Runs whose waiting steps a change of these cases may concern: the live ones and those that have just ended.
-- Called by include/process/reading.py: runs_of_cases.
SELECT instance.process, instance.run_id
FROM process_case case_row
JOIN process_instance instance ON instance.case_id = case_row.id
WHERE case_row.key = ANY(:keys)
  AND (instance.state = 'live' OR instance.ended_at > CAST(:now AS timestamptz) - interval '1 hour')
