-- Called by include/exchange_1c/staging.py behind the counterparties: documents by their Ид; equal ones stay as they are.
-- A flag, a payment or a shipment of which the file says nothing keeps what is known. The company is found by its Ид,
-- then by ИНН+КПП where exactly one has them; never by name.
WITH staged AS (
    SELECT DISTINCT ON (external_id) * FROM stage_document ORDER BY external_id, seq DESC
),
by_numbers AS (
    SELECT inn, coalesce(kpp, '') AS kpp, min(id) AS company_id
    FROM company
    WHERE inn IN (SELECT counterparty_inn FROM staged) AND joined_into_id IS NULL
    GROUP BY inn, coalesce(kpp, '')
    HAVING count(*) = 1
),
wanted AS (
    SELECT
        known.id AS known_id,
        staged.external_id,
        coalesce(staged.parent_external_id, known.parent_external_id) AS parent_external_id,
        staged.kind,
        staged.operation,
        staged.number,
        staged.number_key,
        staged.date,
        staged.at,
        staged.amount,
        staged.currency,
        staged.counterparty_external_id,
        coalesce(company.joined_into_id, company.id, by_numbers.company_id, known.company_id) AS company_id,
        staged.is_deleted,
        coalesce(staged.is_cancelled, known.is_cancelled, false) AS is_cancelled,
        coalesce(staged.is_posted, known.is_posted) AS is_posted,
        coalesce(staged.is_paid, known.is_paid) AS is_paid,
        coalesce(staged.paid_amount, known.paid_amount) AS paid_amount,
        coalesce(staged.paid_at, known.paid_at) AS paid_at,
        coalesce(staged.is_shipped, known.is_shipped) AS is_shipped,
        coalesce(staged.shipped_at, known.shipped_at) AS shipped_at,
        staged.lines,
        staged.details
    FROM staged
    LEFT JOIN one_c_document AS known ON known.external_id = staged.external_id
    LEFT JOIN company ON company.external_id = staged.counterparty_external_id
    LEFT JOIN by_numbers
        ON by_numbers.inn = staged.counterparty_inn AND by_numbers.kpp = coalesce(staged.counterparty_kpp, '')
),
compared AS (
    SELECT
        wanted.*,
        (known.parent_external_id, known.kind, known.operation, known.number, known.date, known.at, known.amount,
         known.currency, known.counterparty_external_id, known.company_id, known.is_deleted, known.is_cancelled,
         known.is_posted, known.is_paid, known.paid_amount, known.paid_at, known.is_shipped, known.shipped_at,
         known.lines, known.details)
            IS DISTINCT FROM
        (wanted.parent_external_id, wanted.kind, wanted.operation, wanted.number, wanted.date, wanted.at,
         wanted.amount, wanted.currency, wanted.counterparty_external_id, wanted.company_id, wanted.is_deleted,
         wanted.is_cancelled, wanted.is_posted, wanted.is_paid, wanted.paid_amount, wanted.paid_at, wanted.is_shipped,
         wanted.shipped_at, wanted.lines, wanted.details) AS differs
    FROM wanted
    LEFT JOIN one_c_document AS known ON known.id = wanted.known_id
),
added AS (
    INSERT INTO one_c_document (
        external_id, parent_external_id, kind, operation, number, number_key, date, at, amount, currency,
        counterparty_external_id, company_id, is_deleted, is_cancelled, is_posted, is_paid, paid_amount, paid_at,
        is_shipped, shipped_at, lines, details, first_exchange_id, last_exchange_id, changed_at
    )
    SELECT
        external_id, parent_external_id, kind, operation, number, number_key, date, at, amount, currency,
        counterparty_external_id, company_id, is_deleted, is_cancelled, is_posted, is_paid, paid_amount, paid_at,
        is_shipped, shipped_at, lines, details, :exchange_id, :exchange_id, :now
    FROM compared
    WHERE known_id IS NULL
    RETURNING 1
),
noted AS (
    INSERT INTO exchange_change (exchange_id, entity, external_id, title, before, after)
    SELECT
        :exchange_id,
        'Документ',
        compared.external_id,
        concat_ws(' № ', nullif(compared.operation, ''), compared.number),
        jsonb_build_object(
            'number', known.number, 'date', known.date, 'amount', known.amount, 'currency', known.currency,
            'is_deleted', known.is_deleted, 'is_cancelled', known.is_cancelled, 'is_posted', known.is_posted,
            'is_paid', known.is_paid, 'paid_amount', known.paid_amount, 'is_shipped', known.is_shipped,
            'lines', jsonb_array_length(known.lines)
        ),
        jsonb_build_object(
            'number', compared.number, 'date', compared.date, 'amount', compared.amount,
            'currency', compared.currency, 'is_deleted', compared.is_deleted, 'is_cancelled', compared.is_cancelled,
            'is_posted', compared.is_posted, 'is_paid', compared.is_paid, 'paid_amount', compared.paid_amount,
            'is_shipped', compared.is_shipped, 'lines', jsonb_array_length(compared.lines)
        )
    FROM compared
    INNER JOIN one_c_document AS known ON known.id = compared.known_id
    WHERE compared.differs
    ORDER BY compared.external_id
    LIMIT :shown
),
changed AS (
    UPDATE one_c_document AS known
    SET
        parent_external_id = compared.parent_external_id,
        kind = compared.kind,
        operation = compared.operation,
        number = compared.number,
        number_key = compared.number_key,
        date = compared.date,
        at = compared.at,
        amount = compared.amount,
        currency = compared.currency,
        counterparty_external_id = compared.counterparty_external_id,
        company_id = compared.company_id,
        is_deleted = compared.is_deleted,
        is_cancelled = compared.is_cancelled,
        is_posted = compared.is_posted,
        is_paid = compared.is_paid,
        paid_amount = compared.paid_amount,
        paid_at = compared.paid_at,
        is_shipped = compared.is_shipped,
        shipped_at = compared.shipped_at,
        lines = compared.lines,
        details = compared.details,
        last_exchange_id = :exchange_id,
        changed_at = :now
    FROM compared
    WHERE known.id = compared.known_id AND compared.differs
    RETURNING 1
),
seen AS (
    UPDATE one_c_document AS known
    SET last_exchange_id = :exchange_id
    FROM compared
    WHERE known.id = compared.known_id AND NOT compared.differs
    RETURNING 1
)
SELECT
    (SELECT count(*) FROM staged) AS taken,
    (SELECT count(*) FROM added) AS added,
    (SELECT count(*) FROM changed) AS changed,
    (SELECT count(*) FROM seen) AS unchanged
