-- What disagrees tonight; every rule adds its rows, one per thing (key).
-- Called by include/reconciliation/services.py: run.
CREATE TEMPORARY TABLE found_discrepancy (
    key text PRIMARY KEY,
    kind text NOT NULL,
    deal_id bigint,
    invoice_id bigint,
    payment_id bigint,
    document_id bigint,
    owner_id bigint,
    details jsonb NOT NULL
) ON COMMIT DROP
