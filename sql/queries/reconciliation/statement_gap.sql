-- Two statements of one account stand next to each other, and the second does not begin with what the first ended with:
-- a statement between them is missing, or one was changed by the bank.
-- Called by include/reconciliation/services.py: run.
INSERT INTO found_discrepancy
SELECT 'statement_gap/statement/' || following.id, 'statement_gap', NULL, NULL, NULL, NULL, :accountant,
       jsonb_build_object(
           'account', own_account.account, 'until', following.before_to::text, 'since', following.date_from::text,
           'closing', following.before_closing::text, 'opening', following.opening::text,
           'statement_id', following.statement_id
       )
FROM (
    SELECT period.id, period.own_account_id, period.statement_id, period.date_from, period.opening,
           lag(period.date_to) OVER account AS before_to, lag(period.closing) OVER account AS before_closing
    FROM (
        SELECT DISTINCT ON (own_account_id, date_from, date_to) statement_account.*
        FROM statement_account
        WHERE date_from IS NOT NULL AND date_to IS NOT NULL
        ORDER BY own_account_id, date_from, date_to, id DESC
    ) AS period
    WINDOW account AS (PARTITION BY period.own_account_id ORDER BY period.date_from, period.date_to)
) AS following
JOIN own_account ON own_account.id = following.own_account_id
WHERE following.before_to < following.date_from
  AND following.before_closing <> following.opening
