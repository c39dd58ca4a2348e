"""The one record of who did what, when, to what and how it ended; and who is told of an entry."""
