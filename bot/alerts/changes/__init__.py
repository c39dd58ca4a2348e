"""What changed where an alert fires, shortly before it began and since: on its card, from the journal."""
