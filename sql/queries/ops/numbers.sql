-- How much there is of everything that can pile up. :offset – how far the business clock is ahead, in microseconds.
-- Called by include/ops/measures.py: the ops page and the metrics.
SELECT
    (SELECT count(*) FROM outbox_event WHERE state = 'pending') AS outbox_pending,
    (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)
     FROM outbox_event WHERE state = 'pending') AS outbox_lag_seconds,
    (SELECT count(*) FROM outbox_event WHERE state = 'dead') AS outbox_dead,
    -- harmless: the second of two equal events joins what the first has begun
    (SELECT coalesce(sum(again.times - 1), 0) FROM (
        SELECT count(*) AS times FROM outbox_event
        WHERE created_at > clock_timestamp() - interval '1 day' AND case_id IS NOT NULL
        GROUP BY case_id, listen_key, visit HAVING count(*) > 1) again) AS outbox_doubled,
    waits.open AS waits_open, waits.overdue AS waits_overdue, waits.deaf AS waits_deaf,
    stuck.failed AS steps_failed, stuck.marked AS steps_marked,
    (SELECT count(*) FROM process_instance WHERE state = 'live') AS instances_live,
    parts.engines AS engine_alive, parts.connected AS hub_connected, parts.waiting AS hub_waiting,
    parts.round_seconds AS reconciler_round_seconds, parts.mended AS reconciler_mended, parts.skew AS clock_skew_seconds,
    pg_database_size(current_database()) AS database_bytes
FROM (
    SELECT count(*) AS open,
           count(*) FILTER (WHERE step.moment < clock_timestamp() + :offset * interval '1 microsecond'
                                  - interval '2 minutes') AS overdue,
           count(*) FILTER (WHERE step.looked_seq < case_row.seq
                                  AND case_row.changed_at < clock_timestamp() - interval '1 minute') AS deaf
    FROM step_state step
    JOIN process_case case_row ON case_row.id = step.case_id
    WHERE step.state = 'waiting') waits
CROSS JOIN (
    SELECT count(*) FILTER (WHERE step.state = 'failed') AS failed,
           count(*) FILTER (WHERE step.state = 'marked') AS marked
    FROM step_state step
    JOIN process_instance instance ON instance.id = step.instance_id AND instance.state = 'live'
    WHERE step.state IN ('failed', 'marked')) stuck
CROSS JOIN (
    SELECT count(*) FILTER (WHERE name = 'hub') AS engines,
           coalesce(bool_and(info ->> 'connected' = 'true') FILTER (WHERE name = 'hub'), false)::int AS connected,
           coalesce(max((info ->> 'waiting')::float) FILTER (WHERE name = 'hub'), 0) AS waiting,
           coalesce(max((info ->> 'round_seconds')::float) FILTER (WHERE name = 'reconciler'), 0) AS round_seconds,
           coalesce(sum((info ->> 'mended')::float) FILTER (WHERE name = 'reconciler'), 0) AS mended,
           coalesce(max(abs((info ->> 'skew')::float)), 0) AS skew
    FROM heartbeat
    WHERE at > clock_timestamp() - interval '1 minute') parts
