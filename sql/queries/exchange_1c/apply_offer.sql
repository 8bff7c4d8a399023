-- Called by include/exchange_1c/staging.py when all files are read: offers by their Ид; equal ones are not rewritten.
-- Of several records with one Ид the last wins; one that carries a mark of deletion only changes nothing else.
WITH staged AS (
    SELECT DISTINCT ON (external_id) * FROM stage_offer ORDER BY external_id, seq DESC
),
wanted AS (
    SELECT
        known.id AS known_id,
        staged.external_id,
        staged.goods_external_id,
        staged.characteristic_id,
        CASE WHEN staged.name = '' THEN known.name ELSE staged.name END AS name,
        CASE WHEN staged.name = '' THEN known.sku ELSE staged.sku END AS sku,
        CASE WHEN staged.name = '' THEN known.unit_code ELSE staged.unit_code END AS unit_code,
        CASE WHEN staged.name = '' THEN known.unit_name ELSE staged.unit_name END AS unit_name,
        CASE WHEN staged.name = '' THEN known.quantity ELSE staged.quantity END AS quantity,
        CASE WHEN staged.name = '' THEN known.characteristics ELSE staged.characteristics END AS characteristics,
        staged.active,
        CASE WHEN staged.name = '' THEN known.details ELSE staged.details END AS details
    FROM staged
    LEFT JOIN offer AS known ON known.external_id = staged.external_id
    WHERE known.id IS NOT NULL OR staged.name <> ''
),
fresh AS (
    SELECT wanted.*
    FROM wanted
    LEFT JOIN offer AS known ON known.id = wanted.known_id
    WHERE known.id IS NULL
        OR (known.goods_external_id, known.characteristic_id, known.name, known.sku, known.unit_code,
            known.unit_name, known.quantity, known.characteristics, known.active, known.details)
            IS DISTINCT FROM
           (wanted.goods_external_id, wanted.characteristic_id, wanted.name, wanted.sku, wanted.unit_code,
            wanted.unit_name, wanted.quantity, wanted.characteristics, wanted.active, wanted.details)
),
added AS (
    INSERT INTO offer (external_id, goods_external_id, characteristic_id, name, sku, unit_code, unit_name, quantity, characteristics, active, details, first_exchange_id, last_exchange_id)
    SELECT external_id, goods_external_id, characteristic_id, name, sku, unit_code, unit_name, quantity, characteristics, active, details, :exchange_id, :exchange_id
    FROM fresh
    WHERE known_id IS NULL
    RETURNING 1
),
noted AS (
    INSERT INTO exchange_change (exchange_id, entity, external_id, title, before, after)
    SELECT
        :exchange_id,
        'Предложение',
        fresh.external_id,
        fresh.name,
        jsonb_build_object(
            'goods_external_id', known.goods_external_id,
            'characteristic_id', known.characteristic_id,
            'name', known.name,
            'sku', known.sku,
            'unit_code', known.unit_code,
            'unit_name', known.unit_name,
            'quantity', known.quantity,
            'characteristics', known.characteristics,
            'active', known.active
        ),
        jsonb_build_object(
            'goods_external_id', fresh.goods_external_id,
            'characteristic_id', fresh.characteristic_id,
            'name', fresh.name,
            'sku', fresh.sku,
            'unit_code', fresh.unit_code,
            'unit_name', fresh.unit_name,
            'quantity', fresh.quantity,
            'characteristics', fresh.characteristics,
            'active', fresh.active
        )
    FROM fresh
    INNER JOIN offer AS known ON known.id = fresh.known_id
    ORDER BY fresh.external_id
    LIMIT :shown
),
changed AS (
    UPDATE offer AS known
    SET
        goods_external_id = fresh.goods_external_id,
        characteristic_id = fresh.characteristic_id,
        name = fresh.name,
        sku = fresh.sku,
        unit_code = fresh.unit_code,
        unit_name = fresh.unit_name,
        quantity = fresh.quantity,
        characteristics = fresh.characteristics,
        active = fresh.active,
        details = fresh.details,
        last_exchange_id = :exchange_id
    FROM fresh
    WHERE known.id = fresh.known_id
    RETURNING 1
)
SELECT
    (SELECT count(*) FROM staged) AS taken,
    (SELECT count(*) FROM added) AS added,
    (SELECT count(*) FROM changed) AS changed,
    (SELECT count(*) FROM wanted) - (SELECT count(*) FROM fresh) AS unchanged
