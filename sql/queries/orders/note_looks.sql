-- Remember what a portion of deals was looked at as, and what keeps each order back; since when stays while it lasts.
-- Called by include/orders/services.py (prepare).
INSERT INTO order_look (deal_id, seen, problems, since, looked_at)
SELECT one.deal_id, one.seen, one.problems, :now, :now
FROM jsonb_to_recordset(CAST(:looks AS jsonb)) AS one (deal_id bigint, seen text, problems jsonb)
ON CONFLICT (deal_id) DO UPDATE SET
    seen = excluded.seen,
    problems = excluded.problems,
    looked_at = excluded.looked_at,
    since = CASE
        WHEN order_look.problems <> '[]' AND excluded.problems <> '[]' THEN order_look.since
        ELSE excluded.since
    END
