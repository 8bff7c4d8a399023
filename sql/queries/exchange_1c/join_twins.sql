-- Called by include/exchange_1c/staging.py: a company that staff made (no Ид of 1C) meets its 1C twin by ИНН+КПП,
-- only when there is exactly one on each side; never by name, never with a record that 1C marks as deleted.
WITH fresh AS (
    SELECT staged.external_id, staged.inn, coalesce(staged.kpp, '') AS kpp
    FROM stage_company AS staged
    WHERE staged.inn IS NOT NULL
        AND NOT staged.is_deleted
        AND NOT EXISTS (SELECT 1 FROM company WHERE company.external_id = staged.external_id)
),
single AS (
    SELECT inn, kpp, max(external_id) AS external_id FROM fresh GROUP BY inn, kpp HAVING count(*) = 1
),
twins AS (
    SELECT single.external_id, min(company.id) AS company_id
    FROM single
    INNER JOIN company
        ON company.inn = single.inn AND coalesce(company.kpp, '') = single.kpp AND company.external_id IS NULL
        AND company.joined_into_id IS NULL
    GROUP BY single.external_id
    HAVING count(*) = 1
),
joined AS (
    UPDATE company
    SET external_id = twins.external_id
    FROM twins
    WHERE company.id = twins.company_id
    RETURNING company.id, company.external_id, company.name, company.details, company.email, company.phone
),
traced AS (
    INSERT INTO audit (at, actor_kind, action, entity, entity_id, text, before, after)
    SELECT
        :now, :actor_kind, 'company.joined', 'company', joined.id,
        'Карточка сотрудника соединена с контрагентом 1С по ИНН и КПП',
        jsonb_build_object(
            'name', joined.name, 'email', joined.email, 'phone', joined.phone, 'details', joined.details
        ),
        jsonb_build_object('external_id', joined.external_id)
    FROM joined
    RETURNING 1
)
SELECT count(*) FROM traced
