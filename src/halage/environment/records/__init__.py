"""What is recorded and read in one transaction each: orders, decisions, plans, reports."""
