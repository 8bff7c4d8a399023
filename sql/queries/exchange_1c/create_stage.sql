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
CREATE TEMPORARY TABLE stage_group (
    seq bigint NOT NULL,
    external_id text NOT NULL,
    name text NOT NULL,
    parent_external_id text,
    kind text NOT NULL,
    active boolean NOT NULL,
    details jsonb NOT NULL
) ON COMMIT DROP;
CREATE TEMPORARY TABLE stage_property (
    seq bigint NOT NULL,
    external_id text NOT NULL,
    name text NOT NULL,
    value_type text NOT NULL,
    options jsonb NOT NULL,
    active boolean NOT NULL,
    details jsonb NOT NULL
) ON COMMIT DROP;
CREATE TEMPORARY TABLE stage_price_type (
    seq bigint NOT NULL,
    external_id text NOT NULL,
    name text NOT NULL,
    currency text,
    is_tax_included boolean,
    active boolean NOT NULL,
    details jsonb NOT NULL
) ON COMMIT DROP;
CREATE TEMPORARY TABLE stage_warehouse (
    seq bigint NOT NULL,
    external_id text NOT NULL,
    name text NOT NULL,
    active boolean NOT NULL,
    details jsonb NOT NULL
) ON COMMIT DROP;
CREATE TEMPORARY TABLE stage_unit (
    seq bigint NOT NULL,
    external_id text NOT NULL,
    code text,
    name text NOT NULL,
    full_name text,
    international text,
    active boolean NOT NULL,
    details jsonb NOT NULL
) ON COMMIT DROP;
CREATE TEMPORARY TABLE stage_offer (
    seq bigint NOT NULL,
    external_id text NOT NULL,
    goods_external_id text NOT NULL,
    characteristic_id text,
    name text NOT NULL,
    sku text,
    unit_code text,
    unit_name text,
    quantity numeric,
    characteristics jsonb NOT NULL,
    active boolean NOT NULL,
    details jsonb NOT NULL
) ON COMMIT DROP;
CREATE TEMPORARY TABLE stage_price (
    seq bigint NOT NULL,
    offer_external_id text NOT NULL,
    goods_external_id text NOT NULL,
    price_type_external_id text NOT NULL,
    unit text NOT NULL,
    min_quantity numeric NOT NULL,
    amount numeric NOT NULL,
    currency text,
    coefficient numeric NOT NULL
) ON COMMIT DROP;
CREATE TEMPORARY TABLE stage_stock (
    seq bigint NOT NULL,
    offer_external_id text NOT NULL,
    goods_external_id text NOT NULL,
    warehouse_external_id text NOT NULL,
    quantity numeric NOT NULL
) ON COMMIT DROP;
CREATE TEMPORARY TABLE stage_document (
    seq bigint NOT NULL,
    external_id text NOT NULL,
    parent_external_id text,
    kind text NOT NULL,
    operation text NOT NULL,
    number text NOT NULL,
    number_key text NOT NULL,
    date date,
    at timestamptz,
    amount numeric,
    currency text,
    counterparty_external_id text,
    counterparty_inn text,
    counterparty_kpp text,
    is_deleted boolean NOT NULL,
    is_cancelled boolean,
    is_posted boolean,
    is_paid boolean,
    paid_amount numeric,
    paid_at timestamptz,
    is_shipped boolean,
    shipped_at timestamptz,
    lines jsonb NOT NULL,
    details jsonb NOT NULL
) ON COMMIT DROP;
CREATE TEMPORARY TABLE stage_full_file (
    file_id bigint NOT NULL
) ON COMMIT DROP;
