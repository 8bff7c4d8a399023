-- Called by include/workplace/nomenclature.py for the goods of one page: how much of each there is in all.
-- Where 1C names warehouses, a total beside them (the empty warehouse) is not counted once more.
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
),
counted AS (
    SELECT
        offered.goods_id,
        coalesce(
            sum(stock.quantity) FILTER (WHERE stock.warehouse_external_id <> ''),
            sum(stock.quantity)
        ) AS quantity
    FROM offered
    INNER JOIN stock ON stock.offer_external_id = offered.offer_external_id
    GROUP BY offered.goods_id, offered.offer_external_id
)
SELECT goods_id, sum(quantity) AS quantity
FROM counted
GROUP BY goods_id
