-- Called by include/exchange_1c/staging.py: new goods in, changed ones updated, equal ones not rewritten.
-- A deletion that carries no name (3.1 may send the Ид and the mark only) changes nothing but the activity.
WITH compared AS (
    SELECT
        staged.seq,
        known.id AS known_id,
        known.active AS was_active,
        CASE
            WHEN staged.name = '' THEN known.active
            ELSE (known.name, known.full_name, known.sku, known.barcode, known.unit_code, known.unit_name, known.vat,
                  known.group_external_id, known.search_key, known.active, known.raw, known.details)
                IS DISTINCT FROM
                 (staged.name, staged.full_name, staged.sku, staged.barcode, staged.unit_code, staged.unit_name,
                  staged.vat, staged.group_external_id, staged.search_key, staged.active, staged.raw, staged.details)
        END AS differs
    FROM stage_goods AS staged
    LEFT JOIN nomenclature AS known ON known.external_id = staged.external_id
),
added AS (
    INSERT INTO nomenclature (
        external_id, name, full_name, sku, barcode, unit_code, unit_name, vat, group_external_id, search_key, active,
        raw, details, first_exchange_id, last_exchange_id, changed_at
    )
    SELECT
        staged.external_id, staged.name, staged.full_name, staged.sku, staged.barcode, staged.unit_code,
        staged.unit_name, staged.vat, staged.group_external_id, staged.search_key, staged.active, staged.raw,
        staged.details, :exchange_id, :exchange_id, :now
    FROM compared
    INNER JOIN stage_goods AS staged ON staged.seq = compared.seq
    WHERE compared.known_id IS NULL AND staged.name <> ''
    RETURNING 1
),
deactivated AS (
    UPDATE nomenclature AS known
    SET active = false, last_exchange_id = :exchange_id, changed_at = :now
    FROM compared
    INNER JOIN stage_goods AS staged ON staged.seq = compared.seq
    WHERE known.id = compared.known_id AND compared.differs AND staged.name = ''
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
    RETURNING compared.was_active AND NOT known.active AS is_deactivated
)
SELECT
    (SELECT count(*) FROM compared) AS taken,
    (SELECT count(*) FROM added) AS added,
    (SELECT count(*) FROM changed) + (SELECT count(*) FROM deactivated) AS changed,
    (SELECT count(*) FROM changed WHERE is_deactivated) + (SELECT count(*) FROM deactivated) AS deactivated,
    (SELECT count(*) FROM compared WHERE known_id IS NOT NULL AND NOT differs) AS unchanged
