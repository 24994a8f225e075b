-- The counts of before, in the new form. Run twice it writes the same rows.
INSERT INTO decision_counts
SELECT day, stage, request_id, 0, any(product), any(release), groupArray(event), groupArray(version), groupArray(purpose),
  groupArray(outcome), groupArray(reason), groupArray(count)
FROM consent_decisions FINAL
GROUP BY day, stage, request_id
