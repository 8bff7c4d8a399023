-- Called by include/exchange_1c/staging.py: a record that came again and was loaded leaves the quarantine.
WITH loaded AS (
    SELECT 'Товар' AS entity, external_id FROM stage_goods
    UNION ALL
    SELECT 'Контрагент', external_id FROM stage_company
    UNION ALL
    SELECT 'Предложение', external_id FROM stage_offer
    UNION ALL
    SELECT CASE kind WHEN 'category' THEN 'Категория' ELSE 'Группа' END, external_id FROM stage_group
    UNION ALL
    SELECT 'Свойство', external_id FROM stage_property
    UNION ALL
    SELECT 'ТипЦены', external_id FROM stage_price_type
    UNION ALL
    SELECT 'Склад', external_id FROM stage_warehouse
    UNION ALL
    SELECT 'ЕдиницаИзмерения', external_id FROM stage_unit
    UNION ALL
    SELECT 'Документ', external_id FROM stage_document
    UNION ALL
    SELECT 'Цена', offer_external_id FROM stage_price
    UNION ALL
    SELECT 'Остаток', offer_external_id FROM stage_stock
)
UPDATE exchange_reject
SET resolved_at = :now
FROM loaded
WHERE exchange_reject.entity = loaded.entity
    AND exchange_reject.external_id = loaded.external_id
    AND exchange_reject.resolved_at IS NULL
    AND exchange_reject.exchange_id < :exchange_id
