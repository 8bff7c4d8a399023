-- Scheduled work with its last run and the next one. Called by include/ops/state.py: the ops page.
SELECT dag.dag_id, coalesce(dag.dag_display_name, dag.dag_id) AS title, dag.is_paused,
       dag.next_dagrun_create_after AS next_at, last.run_id, last.state, last.start_date, last.end_date
FROM dag
LEFT JOIN LATERAL (
    SELECT run.run_id, run.state, run.start_date, run.end_date FROM dag_run run
    WHERE run.dag_id = dag.dag_id ORDER BY run.id DESC LIMIT 1) last ON true
WHERE dag.next_dagrun_create_after IS NOT NULL AND NOT dag.is_stale
ORDER BY dag.next_dagrun_create_after
