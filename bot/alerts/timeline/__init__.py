"""The timeline of an incident, read from the journal: live pages in its thread, and for who asks alone."""
