"""Who may do what, on what: one pure decision that returns its reason."""
