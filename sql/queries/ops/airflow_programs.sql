-- Airflow's programs that run or died lately. Called by include/ops/state.py: the ops page.
SELECT job_type, hostname, extract(epoch FROM clock_timestamp() - latest_heartbeat)::float AS age_seconds
FROM job
WHERE end_date IS NULL AND latest_heartbeat > clock_timestamp() - interval '1 hour'
  AND job_type IN ('SchedulerJob', 'TriggererJob', 'DagProcessorJob')
ORDER BY job_type, latest_heartbeat DESC
