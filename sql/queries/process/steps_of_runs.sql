-- Steps of given runs with the scheme they follow. Called by include/process/reading.py: restlessness.
SELECT instance.process, instance.run_id, states.by_step, scheme.body
FROM unnest(CAST(:processes AS text[]), CAST(:run_ids AS text[])) AS wanted (process, run_id)
JOIN process_instance instance ON instance.process = wanted.process AND instance.run_id = wanted.run_id
JOIN process_scheme scheme ON scheme.id = instance.scheme_id
LEFT JOIN LATERAL (
    SELECT jsonb_object_agg(step.step, step.state) AS by_step FROM step_state step WHERE step.instance_id = instance.id
) states ON true
