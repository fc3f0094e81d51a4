"""Money and limits: accounts, scopes, budgets, renewals. Asked by the gates; moved by the life of bursts."""
