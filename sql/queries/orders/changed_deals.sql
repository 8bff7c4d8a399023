-- Deals whose order may go to 1C, or must be taken back from it, and that differ from what was last looked at.
-- Called by include/orders/services.py (prepare), batch after batch: each deal looked at is remembered in order_look.
WITH standing AS (
    SELECT deal.id,
           md5(concat_ws('|', process_case.seq, company::text, CAST(:settings AS text))) AS seen
    FROM deal
    JOIN process_case ON process_case.id = deal.case_id
    LEFT JOIN company ON company.id = deal.company_id
    WHERE (deal.stage_id = ANY(:stages) AND deal.created_at >= :since)
       OR EXISTS (
           SELECT 1 FROM order_export
           WHERE order_export.deal_id = deal.id AND order_export.state IN ('waiting', 'written', 'taken', 'confirmed')
       )
)
SELECT standing.id, standing.seen
FROM standing
LEFT JOIN order_look ON order_look.deal_id = standing.id
WHERE order_look.seen IS DISTINCT FROM standing.seen
ORDER BY standing.id
LIMIT :portion
