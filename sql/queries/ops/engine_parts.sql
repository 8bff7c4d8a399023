-- Heartbeats of the engine's parts. Called by include/ops/state.py: the ops page.
SELECT name, instance, info, at, extract(epoch FROM clock_timestamp() - at)::float AS age_seconds
FROM heartbeat
ORDER BY name, at DESC
