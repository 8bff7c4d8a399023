-- Called by include/exchange_1c/staging.py: what a full export leaves out inside its scope is put out of use.
WITH scope AS (
    SELECT DISTINCT staged.group_external_id
    FROM stage_goods AS staged
    INNER JOIN stage_full_file AS whole ON whole.file_id = staged.file_id
    WHERE staged.name <> ''
),
absent AS (
    SELECT known.id, known.external_id, known.name
    FROM nomenclature AS known
    INNER JOIN scope ON scope.group_external_id IS NOT DISTINCT FROM known.group_external_id
    WHERE known.active
        AND known.first_exchange_id IS DISTINCT FROM :exchange_id
        AND NOT EXISTS (SELECT 1 FROM stage_goods AS staged WHERE staged.external_id = known.external_id)
),
noted AS (
    INSERT INTO exchange_change (exchange_id, entity, external_id, title, before, after)
    SELECT
        :exchange_id, 'Товар', absent.external_id, absent.name,
        jsonb_build_object('active', true),
        jsonb_build_object('active', false, 'why', 'нет в полной выгрузке')
    FROM absent
    ORDER BY absent.name, absent.id
    LIMIT :shown
),
changed AS (
    UPDATE nomenclature AS known
    SET active = false, last_exchange_id = :exchange_id, changed_at = :now
    FROM absent
    WHERE known.id = absent.id
    RETURNING 1
)
SELECT count(*) AS number FROM changed
