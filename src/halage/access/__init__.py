"""Who may do what: people, credentials, sessions, roles, and the secrets of sites."""
