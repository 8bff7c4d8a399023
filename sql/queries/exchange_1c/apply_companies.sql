-- Called by include/exchange_1c/staging.py: counterparties by their Ид of 1C; equal ones are not rewritten.
-- 1C is the master of what it fills; what it leaves empty (ИНН, e-mail, accounts …) keeps what staff entered.
-- A company that staff deactivated stays so; only a mark of deletion, or its removal, moves the activity.
WITH wanted AS (
    SELECT
        known.id,
        known.active AS was_active,
        CASE WHEN staged.name = '' THEN known.name ELSE staged.name END AS name,
        CASE WHEN staged.name = '' THEN known.search_key ELSE staged.search_key END AS search_key,
        coalesce(staged.full_name, known.full_name) AS full_name,
        CASE WHEN staged.name = '' THEN known.kind ELSE staged.kind END AS kind,
        coalesce(staged.inn, known.inn) AS inn,
        CASE WHEN staged.inn IS NULL THEN coalesce(staged.kpp, known.kpp) ELSE staged.kpp END AS kpp,
        coalesce(staged.email, known.email) AS email,
        coalesce(staged.phone, known.phone) AS phone,
        known.details || staged.details AS details,
        CASE
            WHEN staged.is_deleted OR known.joined_into_id IS NOT NULL THEN false
            WHEN (known.details -> 'one_c' ->> 'is_deleted')::boolean THEN true
            ELSE known.active
        END AS active
    FROM stage_company AS staged
    INNER JOIN company AS known ON known.external_id = staged.external_id
),
compared AS (
    SELECT
        wanted.*,
        (known.name, known.search_key, known.full_name, known.kind, known.inn, known.kpp, known.email, known.phone,
         known.details, known.active)
            IS DISTINCT FROM
        (wanted.name, wanted.search_key, wanted.full_name, wanted.kind, wanted.inn, wanted.kpp, wanted.email,
         wanted.phone, wanted.details, wanted.active) AS differs
    FROM wanted
    INNER JOIN company AS known ON known.id = wanted.id
),
noted AS (
    INSERT INTO exchange_change (exchange_id, entity, external_id, title, before, after)
    SELECT
        :exchange_id, 'Контрагент', known.external_id, fresh.name,
        jsonb_build_object(
            'name', known.name, 'full_name', known.full_name, 'kind', known.kind, 'inn', known.inn, 'kpp', known.kpp,
            'email', known.email, 'phone', known.phone, 'active', known.active, 'addresses', known.details -> 'addresses',
            'accounts', known.details -> 'accounts', 'contacts', known.details -> 'contacts'
        ),
        jsonb_build_object(
            'name', fresh.name, 'full_name', fresh.full_name, 'kind', fresh.kind, 'inn', fresh.inn, 'kpp', fresh.kpp,
            'email', fresh.email, 'phone', fresh.phone, 'active', fresh.active, 'addresses', fresh.details -> 'addresses',
            'accounts', fresh.details -> 'accounts', 'contacts', fresh.details -> 'contacts'
        )
    FROM (SELECT * FROM compared WHERE differs ORDER BY id LIMIT :shown) AS fresh
    INNER JOIN company AS known ON known.id = fresh.id
    ORDER BY fresh.id
),
added AS (
    INSERT INTO company (
        external_id, name, full_name, kind, inn, kpp, email, phone, search_key, details, active, created_at
    )
    SELECT
        staged.external_id, staged.name, staged.full_name, staged.kind, staged.inn, staged.kpp, staged.email,
        staged.phone, staged.search_key, staged.details, NOT staged.is_deleted, :now
    FROM stage_company AS staged
    WHERE staged.name <> ''
        AND NOT EXISTS (SELECT 1 FROM company AS known WHERE known.external_id = staged.external_id)
    RETURNING 1
),
changed AS (
    UPDATE company AS known
    SET
        name = compared.name,
        search_key = compared.search_key,
        full_name = compared.full_name,
        kind = compared.kind,
        inn = compared.inn,
        kpp = compared.kpp,
        email = compared.email,
        phone = compared.phone,
        details = compared.details,
        active = compared.active
    FROM compared
    WHERE known.id = compared.id AND compared.differs
    RETURNING compared.was_active AND NOT known.active AS is_deactivated
)
SELECT
    (SELECT count(*) FROM stage_company) AS taken,
    (SELECT count(*) FROM added) AS added,
    (SELECT count(*) FROM changed) AS changed,
    (SELECT count(*) FROM changed WHERE is_deactivated) AS deactivated,
    (SELECT count(*) FROM compared WHERE NOT differs) AS unchanged
