"""What is kept of incidents: their tables, and how they are read, found and written."""
