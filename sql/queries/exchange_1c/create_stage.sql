-- Called by include/exchange_1c/staging.py at the start of an exchange's transaction.
-- Temporary: a crash or a rollback leaves nothing behind.
CREATE TEMPORARY TABLE stage_goods (
    seq bigint NOT NULL,
    file_id bigint NOT NULL,
    line bigint NOT NULL,
    external_id text NOT NULL,
    name text NOT NULL,
    full_name text,
    sku text,
    barcode text,
    unit_code text,
    unit_name text,
    vat text,
    group_external_id text,
    search_key text NOT NULL,
    active boolean NOT NULL,
    raw jsonb NOT NULL,
    details jsonb NOT NULL
) ON COMMIT DROP;
CREATE INDEX ON stage_goods (seq);
CREATE TEMPORARY TABLE stage_company (
    seq bigint NOT NULL,
    file_id bigint NOT NULL,
    line bigint NOT NULL,
    external_id text NOT NULL,
    name text NOT NULL,
    full_name text,
    kind text NOT NULL,
    inn text,
    kpp text,
    email text,
    phone text,
    search_key text NOT NULL,
    is_deleted boolean NOT NULL,
    details jsonb NOT NULL
) ON COMMIT DROP;
