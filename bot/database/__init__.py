"""The record's home: engines, transactions, leadership, migrations. Knows no table of its own but leadership and facts."""
