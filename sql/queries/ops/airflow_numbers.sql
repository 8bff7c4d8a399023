-- What piles up in Airflow's own database. Called by include/ops/measures.py: the ops page and the metrics.
SELECT
    (SELECT count(*) FROM callback WHERE type = 'dag_processor') AS callbacks_pending,
    (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)
     FROM callback WHERE type = 'dag_processor') AS callbacks_lag_seconds,
    (SELECT count(*) FROM dag_run WHERE state IN ('queued', 'running')) AS runs_unfinished,
    (SELECT count(*) FROM job WHERE job_type = 'SchedulerJob' AND end_date IS NULL
        AND latest_heartbeat > clock_timestamp() - interval '1 minute') AS scheduler_alive,
    (SELECT count(*) FROM job WHERE job_type = 'TriggererJob' AND end_date IS NULL
        AND latest_heartbeat > clock_timestamp() - interval '1 minute') AS triggerer_alive,
    (SELECT count(*) FROM job WHERE job_type = 'DagProcessorJob' AND end_date IS NULL
        AND latest_heartbeat > clock_timestamp() - interval '1 minute') AS dag_processor_alive,
    pg_database_size(current_database()) AS airflow_database_bytes
