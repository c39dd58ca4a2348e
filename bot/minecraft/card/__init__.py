"""How servers look: the board, one server, who is on, their past, requests for their whitelists."""
