-- Open tasks that lie with somebody who does not hold the role they are addressed to: :first are the addresses of the
-- role itself, :fallback is «role:…» behind a field that names nobody or somebody else; :present hold the role.
-- Called by include/staff/structure.py: stray_tasks.
SELECT task.id, task.case_id
FROM task
LEFT JOIN deal ON deal.case_id = task.case_id
LEFT JOIN process_instance instance ON instance.id = task.instance_id
WHERE task.state = 'open' AND task.executor_id <> ALL(CAST(:present AS bigint[]))
  AND (
      split_part(task.addressed_to, '|', 1) = ANY(:first)
      OR (
          task.addressed_to LIKE 'field:%' AND split_part(task.addressed_to, '|', 2) = :fallback
          AND coalesce(
              deal.fields ->> substr(split_part(task.addressed_to, '|', 1), 7),
              instance.payload ->> substr(split_part(task.addressed_to, '|', 1), 7)
          ) IS DISTINCT FROM task.executor_id::text
      )
  )
ORDER BY task.case_id, task.id
