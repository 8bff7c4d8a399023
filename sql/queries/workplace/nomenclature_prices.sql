-- Called by include/workplace/nomenclature.py for the goods of one page: the least and the greatest price of each type.
-- Goods are reached by their offers, and as an offer of their own where 1C knows no characteristics: both by index.
WITH offered AS (
    SELECT goods.id AS goods_id, goods.external_id AS offer_external_id
    FROM nomenclature AS goods
    LEFT JOIN offer ON offer.external_id = goods.external_id
    WHERE goods.id = ANY(:ids) AND coalesce(offer.active, true)
    UNION
    SELECT goods.id, offer.external_id
    FROM nomenclature AS goods
    INNER JOIN offer ON offer.goods_external_id = goods.external_id
    WHERE goods.id = ANY(:ids) AND offer.active
)
SELECT
    offered.goods_id,
    coalesce(price_type.name, price.price_type_external_id) AS title,
    coalesce(price.currency, price_type.currency) AS currency,
    min(price.amount) AS least,
    max(price.amount) AS greatest
FROM offered
INNER JOIN price ON price.offer_external_id = offered.offer_external_id
LEFT JOIN price_type ON price_type.external_id = price.price_type_external_id
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
