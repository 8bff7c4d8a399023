-- Called by include/exchange_1c/staging.py after join_twins: counterparties about to be added although companies
-- with the same ИНН exist; a person decides about them (remarks of the exchange's report).
SELECT
    staged.file_id,
    staged.line,
    staged.external_id,
    array_agg(company.id ORDER BY company.id) AS company_ids,
    bool_or(coalesce(company.kpp, '') = coalesce(staged.kpp, '')) AS is_same_kpp
FROM stage_company AS staged
INNER JOIN company ON company.inn = staged.inn
WHERE NOT staged.is_deleted
    AND staged.name <> ''
    AND company.joined_into_id IS NULL
    AND NOT EXISTS (SELECT 1 FROM company AS known WHERE known.external_id = staged.external_id)
    AND (company.external_id IS NULL OR coalesce(company.kpp, '') = coalesce(staged.kpp, ''))
GROUP BY staged.file_id, staged.line, staged.external_id
ORDER BY staged.file_id, staged.line
