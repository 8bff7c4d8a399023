-- Fields of open deals that name the person :person. Called by include/staff/holdings.py: fields.
SELECT deal.id AS deal_id, deal.case_id, deal.title, field.code, field.title AS field_title
FROM deal
JOIN deal_field field ON field.kind = 'person' AND deal.fields ->> field.code = CAST(CAST(:person AS bigint) AS text)
WHERE deal.closed_at IS NULL
ORDER BY deal.id, field.code
