-- The temporary table that the payments of one file are brought into before anything is decided.
-- Called by include/money/staging.py: Stage.
CREATE TEMPORARY TABLE stage_payment (
    seq bigint NOT NULL,
    line bigint NOT NULL,
    own_account_id bigint,
    direction text NOT NULL,
    internal boolean NOT NULL,
    refund boolean NOT NULL,
    base_key text NOT NULL,
    kind text NOT NULL,
    number text NOT NULL,
    date date NOT NULL,
    amount numeric(18, 2) NOT NULL,
    counter_account text,
    counter_inn text,
    counter_kpp text,
    counter_name text NOT NULL,
    purpose text NOT NULL,
    mentions text[] NOT NULL,
    details jsonb NOT NULL
) ON COMMIT DROP
