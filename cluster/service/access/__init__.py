"""Who may ask a service for what: tokens, sessions, and what every request passes."""
