-- Called by include/exchange_1c/staging.py when all files are read: stock; equal rows are not rewritten.
WITH staged AS (
    SELECT DISTINCT ON (offer_external_id, warehouse_external_id) *
    FROM stage_stock
    ORDER BY offer_external_id, warehouse_external_id, seq DESC
),
fresh AS (
    SELECT staged.*, known.id AS known_id
    FROM staged
    LEFT JOIN stock AS known
        ON known.offer_external_id = staged.offer_external_id
        AND known.warehouse_external_id = staged.warehouse_external_id
    WHERE known.id IS NULL
        OR (known.goods_external_id, known.quantity)
            IS DISTINCT FROM
           (staged.goods_external_id, staged.quantity)
),
added AS (
    INSERT INTO stock (offer_external_id, goods_external_id, warehouse_external_id, quantity, last_exchange_id)
    SELECT offer_external_id, goods_external_id, warehouse_external_id, quantity, :exchange_id
    FROM fresh
    WHERE known_id IS NULL
    RETURNING 1
),
noted AS (
    INSERT INTO exchange_change (exchange_id, entity, external_id, title, before, after)
    SELECT
        :exchange_id,
        'Остаток',
        known.offer_external_id,
        concat_ws(
            ', ',
            coalesce(offer.name, nomenclature.name),
            coalesce(warehouse.name, nullif(known.warehouse_external_id, ''))
        ),
        jsonb_build_object('quantity', known.quantity),
        jsonb_build_object('quantity', fresh.quantity)
    FROM (
        SELECT * FROM fresh WHERE known_id IS NOT NULL ORDER BY seq LIMIT :shown
    ) AS fresh
    INNER JOIN stock AS known ON known.id = fresh.known_id
    LEFT JOIN offer ON offer.external_id = known.offer_external_id
    LEFT JOIN nomenclature ON nomenclature.external_id = known.goods_external_id
    LEFT JOIN warehouse ON warehouse.external_id = known.warehouse_external_id
    ORDER BY fresh.seq
),
changed AS (
    UPDATE stock AS known
    SET
        goods_external_id = fresh.goods_external_id,
        quantity = fresh.quantity,
        last_exchange_id = :exchange_id
    FROM fresh
    WHERE known.id = fresh.known_id
    RETURNING 1
)
SELECT
    (SELECT count(*) FROM staged) AS taken,
    (SELECT count(*) FROM added) AS added,
    (SELECT count(*) FROM changed) AS changed,
    (SELECT count(*) FROM staged) - (SELECT count(*) FROM fresh) AS unchanged
