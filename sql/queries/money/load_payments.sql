-- Brings the staged payments that are new into the table. An incoming payment that names the number of an invoice that
-- we know, or any number while its payer has invoices of ours, is looked at by the matching (new); the others wait for
-- a person (queue). An outgoing one is
-- a refund to be decided only when it says so and goes to a counterparty that we know.
-- Called by include/money/staging.py: Stage.apply.
WITH payer AS (
    SELECT DISTINCT ON (wanted.counter_inn, wanted.counter_kpp) wanted.counter_inn, wanted.counter_kpp,
           company.id AS company_id
    FROM (
        SELECT DISTINCT counter_inn, counter_kpp FROM stage_payment WHERE counter_inn IS NOT NULL AND NOT internal
    ) AS wanted
    JOIN company ON company.inn = wanted.counter_inn
    ORDER BY wanted.counter_inn, wanted.counter_kpp, (company.kpp IS NOT DISTINCT FROM wanted.counter_kpp) DESC,
             company.active DESC, company.id
), named AS (
    SELECT seq, unnest(mentions) AS key FROM stage_payment WHERE direction = 'in' AND NOT internal
), invoiced AS (
    SELECT DISTINCT company.inn
    FROM invoice
    JOIN company ON company.id = invoice.company_id
    WHERE invoice.state = 'issued' AND company.inn IS NOT NULL
), candidate AS (
    SELECT named.seq
    FROM named
    JOIN invoice ON invoice.number_key = named.key AND invoice.state = 'issued'
    UNION
    SELECT stage_payment.seq
    FROM stage_payment
    JOIN invoiced ON invoiced.inn = stage_payment.counter_inn
    WHERE stage_payment.direction = 'in' AND NOT stage_payment.internal
      AND (cardinality(stage_payment.mentions) > 0 OR stage_payment.details ? 'deal')
)
INSERT INTO payment (
    key, statement_id, own_account_id, source, direction, kind, number, date, amount, counter_account, counter_inn,
    counter_kpp, counter_name, purpose, mentions, company_id, state, line, details
)
SELECT new_payment.key, :statement_id, staged.own_account_id, :source, staged.direction, staged.kind, staged.number,
       staged.date, staged.amount, staged.counter_account, staged.counter_inn, staged.counter_kpp, staged.counter_name,
       staged.purpose, staged.mentions, payer.company_id,
       CASE
           WHEN staged.internal THEN 'internal'
           WHEN staged.direction = 'out' AND staged.refund AND payer.company_id IS NOT NULL THEN 'queue'
           WHEN staged.direction = 'out' THEN 'spent'
           WHEN candidate.seq IS NOT NULL THEN 'new'
           ELSE 'queue'
       END,
       staged.line, staged.details
FROM new_payment
JOIN stage_payment AS staged ON staged.seq = new_payment.seq
LEFT JOIN candidate ON candidate.seq = staged.seq
LEFT JOIN payer
    ON payer.counter_inn = staged.counter_inn AND payer.counter_kpp IS NOT DISTINCT FROM staged.counter_kpp
WHERE NOT new_payment.is_twin
ORDER BY staged.seq
ON CONFLICT (key) DO NOTHING
