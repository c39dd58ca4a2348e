"""Alerts from webhook to card: inbox, incidents, routing. Leaves delivery to cards and paging to oncall."""
