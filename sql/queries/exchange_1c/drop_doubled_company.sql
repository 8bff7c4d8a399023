-- Called by include/exchange_1c/staging.py: of several records with one Ид the last one of the exchange wins.
DELETE FROM stage_company AS staged
USING (
    SELECT external_id, max(seq) AS last_seq
    FROM stage_company
    GROUP BY external_id
    HAVING count(*) > 1
) AS doubled
WHERE staged.external_id = doubled.external_id AND staged.seq < doubled.last_seq
RETURNING staged.file_id, staged.line, staged.external_id
