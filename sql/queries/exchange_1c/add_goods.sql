-- Called by include/exchange_1c/staging.py while a file is read: the new goods of a portion (from seq :first on) go in.
-- Of a record that comes again the first stands until apply_goods, which compares it with the last one.
INSERT INTO nomenclature (
    external_id, name, full_name, sku, barcode, unit_code, unit_name, vat, group_external_id, search_key, active,
    raw, details, first_exchange_id, last_exchange_id, changed_at
)
SELECT
    external_id, name, full_name, sku, barcode, unit_code, unit_name, vat, group_external_id, search_key, active,
    raw, details, :exchange_id, :exchange_id, :now
FROM stage_goods
WHERE seq >= :first AND name <> ''
ON CONFLICT (external_id) DO NOTHING
