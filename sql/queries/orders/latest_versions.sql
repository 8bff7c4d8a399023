-- The newest version of each deal's order, whatever became of it, and the highest number given.
-- Called by include/orders/services.py (prepare).
SELECT DISTINCT ON (deal_id) deal_id, id, version, state, sha256, content, ordered_at, sent_at,
       max(version) OVER (PARTITION BY deal_id) AS highest
FROM order_export
WHERE deal_id = ANY(:deals)
ORDER BY deal_id, (state = 'replaced'), version DESC
