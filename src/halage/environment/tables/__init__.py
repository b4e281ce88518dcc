"""What is kept of environments: tables, and what reads and writes their rows."""
