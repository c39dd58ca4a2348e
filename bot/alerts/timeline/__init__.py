"""The timeline of an incident, in the thread of its card: read from the journal, shown as live pages."""
