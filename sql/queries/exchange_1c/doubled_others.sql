-- Called by include/exchange_1c/staging.py: offers, prices and stock that came several times (the last ones are taken).
SELECT 'Предложение' AS entity, external_id, count(*) - 1 AS times
FROM stage_offer
GROUP BY external_id
HAVING count(*) > 1
UNION ALL
SELECT 'Цена', offer_external_id, count(*) - 1
FROM stage_price
GROUP BY offer_external_id, price_type_external_id, unit, min_quantity
HAVING count(*) > 1
UNION ALL
SELECT 'Остаток', offer_external_id, count(*) - 1
FROM stage_stock
GROUP BY offer_external_id, warehouse_external_id
HAVING count(*) > 1
