-- Live instances with their waiting, marked and failed steps. Called by include/process/reading.py: live_instances.
SELECT instance.process,
       instance.run_id,
       extract(epoch FROM :now - instance.started_at)::float AS age_seconds,
       EXISTS (
           SELECT 1 FROM outbox_event event
           WHERE event.case_id = instance.case_id AND event.visit = instance.visit AND event.state = 'pending'
       ) AS event_pending,
       coalesce(array_agg(step.step) FILTER (WHERE step.state = 'waiting'), '{}') AS waiting_steps,
       coalesce(array_agg(step.step) FILTER (WHERE step.state = 'marked'), '{}') AS marked_steps,
       coalesce(array_agg(step.step) FILTER (WHERE step.state = 'failed'), '{}') AS failed_steps,
       coalesce(array_agg(step.step) FILTER (
           WHERE step.state IN ('failed', 'marked') AND step.retried_at IS NOT NULL AND step.ended_at IS NULL), '{}') AS retried_steps
FROM process_instance instance
LEFT JOIN step_state step ON step.instance_id = instance.id AND step.state IN ('waiting', 'marked', 'failed')
WHERE instance.state = 'live'
GROUP BY instance.id
ORDER BY instance.id
