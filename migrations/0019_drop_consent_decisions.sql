-- Its counts are in decision_counts now.
DROP TABLE IF EXISTS consent_decisions
