-- Which of the finished runs (:processes[i], :run_ids[i]) belong to a case that still lives or ended after :before: they
-- stay in Airflow, however old. A run that no instance knows (a nightly process, one started by hand) is nobody's.
-- Called by include/retention/services.py: kept_runs.
SELECT instance.process, instance.run_id
FROM unnest(CAST(:processes AS text[]), CAST(:run_ids AS text[])) AS asked (process, run_id)
JOIN process_instance instance ON instance.process = asked.process AND instance.run_id = asked.run_id
LEFT JOIN deal ON deal.case_id = instance.case_id
WHERE (deal.id IS NOT NULL AND (deal.closed_at IS NULL OR deal.closed_at >= :before))
   OR EXISTS (
       SELECT FROM process_instance other
       WHERE other.case_id = instance.case_id AND (other.state = 'live' OR other.ended_at >= :before))
   OR EXISTS (SELECT FROM task WHERE task.case_id = instance.case_id AND task.state = 'open')
   OR EXISTS (
       SELECT FROM approval WHERE approval.case_id = instance.case_id AND approval.state IN ('open', 'rework'))
   OR EXISTS (
       SELECT FROM outbox_event event
       WHERE event.case_id = instance.case_id AND event.state IN ('pending', 'dead'))
