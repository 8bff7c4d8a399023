-- Called by include/exchange_1c/staging.py when all files are read: prices; equal ones are not rewritten.
-- A price that the file does not speak of stays as it was: prices come for the offers that changed.
WITH staged AS (
    SELECT DISTINCT ON (offer_external_id, price_type_external_id, unit, min_quantity) *
    FROM stage_price
    ORDER BY offer_external_id, price_type_external_id, unit, min_quantity, seq DESC
),
fresh AS (
    SELECT staged.*, known.id AS known_id
    FROM staged
    LEFT JOIN price AS known
        ON known.offer_external_id = staged.offer_external_id
        AND known.price_type_external_id = staged.price_type_external_id
        AND known.unit = staged.unit
        AND known.min_quantity = staged.min_quantity
    WHERE known.id IS NULL
        OR (known.goods_external_id, known.amount, known.currency, known.coefficient)
            IS DISTINCT FROM
           (staged.goods_external_id, staged.amount, staged.currency, staged.coefficient)
),
added AS (
    INSERT INTO price (
        offer_external_id, goods_external_id, price_type_external_id, unit, min_quantity, amount, currency,
        coefficient, last_exchange_id
    )
    SELECT
        offer_external_id, goods_external_id, price_type_external_id, unit, min_quantity, amount, currency,
        coefficient, :exchange_id
    FROM fresh
    WHERE known_id IS NULL
    RETURNING 1
),
noted AS (
    INSERT INTO exchange_change (exchange_id, entity, external_id, title, before, after)
    SELECT
        :exchange_id,
        'Цена',
        known.offer_external_id,
        concat_ws(
            ', ',
            coalesce(offer.name, nomenclature.name),
            coalesce(price_type.name, known.price_type_external_id)
        ),
        jsonb_build_object('amount', known.amount, 'currency', known.currency, 'coefficient', known.coefficient),
        jsonb_build_object('amount', fresh.amount, 'currency', fresh.currency, 'coefficient', fresh.coefficient)
    FROM (
        SELECT * FROM fresh WHERE known_id IS NOT NULL ORDER BY seq LIMIT :shown
    ) AS fresh
    INNER JOIN price AS known ON known.id = fresh.known_id
    LEFT JOIN offer ON offer.external_id = known.offer_external_id
    LEFT JOIN nomenclature ON nomenclature.external_id = known.goods_external_id
    LEFT JOIN price_type ON price_type.external_id = known.price_type_external_id
    ORDER BY fresh.seq
),
changed AS (
    UPDATE price AS known
    SET
        goods_external_id = fresh.goods_external_id,
        amount = fresh.amount,
        currency = fresh.currency,
        coefficient = fresh.coefficient,
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
