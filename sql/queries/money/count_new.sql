-- What of the staged payments is new, by direction, and how many are loaded already.
-- Called by include/money/staging.py: Stage.news.
SELECT count(*) FILTER (WHERE direction = 'in' AND NOT internal AND NOT is_twin) AS incoming,
       count(*) FILTER (WHERE direction = 'out' AND NOT internal AND NOT is_twin) AS outgoing,
       count(*) FILTER (WHERE internal AND NOT is_twin) AS internal,
       (SELECT count(*) FROM stage_payment) - count(*) AS repeated,
       count(*) FILTER (WHERE is_twin) AS twins,
       coalesce(sum(amount) FILTER (WHERE direction = 'in' AND NOT internal AND NOT is_twin), 0) AS incoming_sum,
       coalesce(sum(amount) FILTER (WHERE direction = 'out' AND NOT internal AND NOT is_twin), 0) AS outgoing_sum
FROM new_payment
