-- Instances that ended lately for another reason than their last step. Called by include/process/reading.py.
SELECT process, run_id, reason
FROM process_instance
WHERE state = 'ended' AND ended_at > CAST(:now AS timestamptz) - interval '10 minutes'
  AND reason IS NOT NULL AND reason <> 'завершён'
ORDER BY id
