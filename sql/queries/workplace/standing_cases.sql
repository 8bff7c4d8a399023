-- Deals that stand at a failed or marked step and for which these people answer, or people of these departments.
-- Called by include/workplace/standing.py: «Мой день».
SELECT DISTINCT deal.case_id, deal.id AS deal_id, deal.title
FROM step_state step
JOIN process_instance instance ON instance.id = step.instance_id AND instance.state = 'live'
JOIN deal ON deal.case_id = step.case_id
JOIN person ON person.id = deal.responsible_id
WHERE step.state IN ('failed', 'marked')
  AND (deal.responsible_id = ANY(:people) OR person.department_id = ANY(:departments) OR :everybody)
ORDER BY deal.id
LIMIT :limit
