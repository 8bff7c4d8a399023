-- Called by include/exchange_1c/staging.py when all files are read: changed goods updated, equal ones not rewritten.
-- New ones stand since add_goods; only when a record came :again they may hold an earlier form of it.
-- A deletion that carries no name (3.1 may send the Ид and the mark only) changes nothing but the activity.
WITH compared AS (
    SELECT
        staged.seq,
        known.id AS known_id,
        known.active AS was_active,
        known.first_exchange_id IS NOT DISTINCT FROM :exchange_id AS is_new,
        CASE
            WHEN known.first_exchange_id = :exchange_id AND NOT :again THEN false
            WHEN staged.name = '' THEN known.active
            ELSE (known.name, known.full_name, known.sku, known.barcode, known.unit_code, known.unit_name, known.vat,
                  known.group_external_id, known.search_key, known.active, known.raw, known.details)
                IS DISTINCT FROM
                 (staged.name, staged.full_name, staged.sku, staged.barcode, staged.unit_code, staged.unit_name,
                  staged.vat, staged.group_external_id, staged.search_key, staged.active, staged.raw, staged.details)
        END AS differs
    FROM stage_goods AS staged
    INNER JOIN nomenclature AS known ON known.external_id = staged.external_id
),
noted AS (
    INSERT INTO exchange_change (exchange_id, entity, external_id, title, before, after)
    SELECT
        :exchange_id, 'Товар', known.external_id, coalesce(nullif(fresh.name, ''), known.name),
        jsonb_build_object(
            'name', known.name, 'full_name', known.full_name, 'sku', known.sku, 'barcode', known.barcode,
            'unit_code', known.unit_code, 'unit_name', known.unit_name, 'vat', known.vat,
            'group_external_id', known.group_external_id, 'active', known.active
        ),
        CASE
            WHEN fresh.name = '' THEN jsonb_build_object('active', false)
            ELSE jsonb_build_object(
                'name', fresh.name, 'full_name', fresh.full_name, 'sku', fresh.sku, 'barcode', fresh.barcode,
                'unit_code', fresh.unit_code, 'unit_name', fresh.unit_name, 'vat', fresh.vat,
                'group_external_id', fresh.group_external_id, 'active', fresh.active
            )
        END
    FROM (
        SELECT staged.*, compared.known_id
        FROM compared
        INNER JOIN stage_goods AS staged ON staged.seq = compared.seq
        WHERE compared.differs AND NOT compared.is_new
        ORDER BY compared.seq
        LIMIT :shown
    ) AS fresh
    INNER JOIN nomenclature AS known ON known.id = fresh.known_id
    ORDER BY fresh.seq
),
taken_back AS (
    DELETE FROM nomenclature AS known
    USING compared
    INNER JOIN stage_goods AS staged ON staged.seq = compared.seq
    WHERE known.id = compared.known_id AND compared.is_new AND staged.name = ''
    RETURNING 1
),
deactivated AS (
    UPDATE nomenclature AS known
    SET active = false, last_exchange_id = :exchange_id, changed_at = :now
    FROM compared
    INNER JOIN stage_goods AS staged ON staged.seq = compared.seq
    WHERE known.id = compared.known_id AND compared.differs AND NOT compared.is_new AND staged.name = ''
    RETURNING 1
),
changed AS (
    UPDATE nomenclature AS known
    SET
        name = staged.name,
        full_name = staged.full_name,
        sku = staged.sku,
        barcode = staged.barcode,
        unit_code = staged.unit_code,
        unit_name = staged.unit_name,
        vat = staged.vat,
        group_external_id = staged.group_external_id,
        search_key = staged.search_key,
        active = staged.active,
        raw = staged.raw,
        details = staged.details,
        last_exchange_id = :exchange_id,
        changed_at = :now
    FROM compared
    INNER JOIN stage_goods AS staged ON staged.seq = compared.seq
    WHERE known.id = compared.known_id AND compared.differs AND staged.name <> ''
    RETURNING NOT compared.is_new AS is_changed, NOT compared.is_new AND compared.was_active AND NOT known.active
        AS is_deactivated
)
SELECT
    (SELECT count(*) FROM stage_goods) AS taken,
    (SELECT count(*) FROM compared WHERE is_new) - (SELECT count(*) FROM taken_back) AS added,
    (SELECT count(*) FROM changed WHERE is_changed) + (SELECT count(*) FROM deactivated) AS changed,
    (SELECT count(*) FROM changed WHERE is_deactivated) + (SELECT count(*) FROM deactivated) AS deactivated,
    (SELECT count(*) FROM compared WHERE NOT is_new AND NOT differs) AS unchanged
