-- Live instances with their responsible and the head found for them (AG-4); :cases narrows them down.
-- Called by include/staff/structure.py: heads_anew.
SELECT instance.id, instance.case_id, instance.head_id,
       coalesce(
           deal.responsible_id,
           CASE WHEN jsonb_typeof(instance.payload -> 'responsible') = 'number'
                THEN CAST(instance.payload ->> 'responsible' AS bigint) END
       ) AS responsible_id
FROM process_instance instance
LEFT JOIN deal ON deal.case_id = instance.case_id
WHERE instance.state = 'live'
  AND (CAST(:cases AS bigint[]) IS NULL OR instance.case_id = ANY(:cases))
ORDER BY instance.case_id, instance.id
