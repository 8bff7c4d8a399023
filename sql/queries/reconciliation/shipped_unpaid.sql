-- 1C has shipped what a deal is about (its order or invoice says so, or a shipment made of it), and the deal owes.
-- Called by include/reconciliation/services.py: run.
INSERT INTO found_discrepancy
SELECT DISTINCT ON (deal.id)
       'shipped_unpaid/deal/' || deal.id, 'shipped_unpaid', deal.id, NULL, NULL, shipped.id, deal.responsible_id,
       jsonb_build_object('number', shipped.number, 'debt', deal.debt::text)
FROM (
    SELECT id, number, deal_id FROM document_of_ours WHERE is_shipped AND NOT is_ended
    UNION ALL
    SELECT shipment.id, shipment.number, document.deal_id
    FROM document_of_ours AS document
    JOIN one_c_document AS shipment
        ON shipment.parent_external_id = document.external_id AND shipment.kind = 'shipment'
    WHERE NOT shipment.is_deleted AND NOT shipment.is_cancelled
) AS shipped
JOIN deal ON deal.id = shipped.deal_id
WHERE deal.debt > 0
ORDER BY deal.id, shipped.id
