"""The record's home: engines, transactions, leadership, migrations, facts; the rooms declare their tables."""
