-- Which issued invoices each of the payments (:ids) may be for: those whose number its purpose names, those of the deal
-- that a sheet names, the open ones of its payer by ИНН, for an outgoing one those that the payee has paid (at most
-- :most of a payment, those of its very sum and the oldest first). ``paid`` is what active
-- allocations make of the invoice; ``entered`` is what of the deal's «Сумма оплаты» no payment confirms.
-- Called by include/money/candidates.py: find.
WITH wanted AS (
    SELECT id, direction, counter_inn, mentions, amount - abs(allocated) AS remaining,
           CASE WHEN details ->> 'deal' ~ '^№?\s*[0-9]{1,15}$'
                THEN regexp_replace(details ->> 'deal', '[^0-9]', '', 'g')::bigint END AS deal_id
    FROM payment
    WHERE id = ANY(:ids)
), named AS (
    SELECT wanted.id AS payment_id, invoice.id AS invoice_id
    FROM wanted
    CROSS JOIN LATERAL unnest(wanted.mentions) AS mention(key)
    JOIN invoice ON invoice.number_key = mention.key AND invoice.state = 'issued'
), of_named_deal AS (
    SELECT wanted.id AS payment_id, invoice.id AS invoice_id
    FROM wanted
    JOIN invoice ON invoice.deal_id = wanted.deal_id AND invoice.state = 'issued'
), payer AS (
    SELECT DISTINCT counter_inn FROM wanted WHERE counter_inn IS NOT NULL AND direction = 'in'
), open_of_payer AS (
    SELECT payer.counter_inn, invoice.id AS invoice_id, invoice.date, invoice.amount - coalesce(paid.total, 0) AS due
    FROM payer
    JOIN company ON company.inn = payer.counter_inn
    JOIN invoice ON invoice.company_id = company.id AND invoice.state = 'issued'
    LEFT JOIN LATERAL (
        SELECT sum(amount) AS total
        FROM payment_allocation
        WHERE payment_allocation.invoice_id = invoice.id AND payment_allocation.undone_at IS NULL
    ) AS paid ON true
    WHERE invoice.amount > coalesce(paid.total, 0)
), of_payer AS (
    SELECT wanted.id AS payment_id, chosen.invoice_id
    FROM wanted
    CROSS JOIN LATERAL (
        SELECT open_of_payer.invoice_id
        FROM open_of_payer
        WHERE open_of_payer.counter_inn = wanted.counter_inn
        ORDER BY (open_of_payer.due = wanted.remaining) DESC, open_of_payer.date, open_of_payer.invoice_id
        LIMIT :most
    ) AS chosen
), of_payee AS (
    SELECT wanted.id AS payment_id, chosen.invoice_id
    FROM wanted
    CROSS JOIN LATERAL (
        SELECT invoice.id AS invoice_id
        FROM company
        JOIN invoice ON invoice.company_id = company.id AND invoice.state = 'issued'
        JOIN LATERAL (
            SELECT sum(amount) AS total
            FROM payment_allocation
            WHERE payment_allocation.invoice_id = invoice.id AND payment_allocation.undone_at IS NULL
        ) AS paid ON paid.total > 0
        WHERE company.inn = wanted.counter_inn
        ORDER BY (paid.total = wanted.remaining) DESC, invoice.date, invoice.id
        LIMIT :most
    ) AS chosen
    WHERE wanted.direction = 'out'
), candidate AS (
    SELECT payment_id, invoice_id FROM named
    UNION
    SELECT payment_id, invoice_id FROM of_named_deal
    UNION
    SELECT payment_id, invoice_id FROM of_payer
    UNION
    SELECT payment_id, invoice_id FROM of_payee
)
SELECT candidate.payment_id, invoice.id AS invoice_id, invoice.number, invoice.number_key, invoice.date, invoice.amount,
       coalesce(paid.total, 0) AS paid, invoice.deal_id, deal.case_id, deal.title AS deal_title, stage.kind AS deal_kind,
       company.inn, company.kpp, coalesce(deal.paid - of_deal.total, 0) AS entered
FROM candidate
JOIN invoice ON invoice.id = candidate.invoice_id
LEFT JOIN company ON company.id = invoice.company_id
LEFT JOIN deal ON deal.id = invoice.deal_id
LEFT JOIN stage ON stage.id = deal.stage_id
LEFT JOIN LATERAL (
    SELECT sum(amount) AS total
    FROM payment_allocation
    WHERE payment_allocation.invoice_id = invoice.id AND payment_allocation.undone_at IS NULL
) AS paid ON true
LEFT JOIN LATERAL (
    SELECT coalesce(sum(amount), 0) AS total
    FROM payment_allocation
    WHERE payment_allocation.deal_id = invoice.deal_id AND payment_allocation.undone_at IS NULL
) AS of_deal ON true
ORDER BY candidate.payment_id, invoice.date, invoice.id
