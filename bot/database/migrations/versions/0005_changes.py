"""Changes: which entries of the journal changed something outside."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_INDEXES = {
    "ix_journal_change_namespace": ["namespace", "at", "id"],
    "ix_journal_change_app": ["app", "at", "id"],
    "ix_journal_change_at": ["at", "id"],
}


def upgrade() -> None:
    # What is there already is marked as no change: to mark it would break the chain of hashes.
    op.add_column("journal", sa.Column("change", sa.Boolean(), nullable=False, server_default=sa.false()))
    for name, columns in _INDEXES.items():
        op.create_index(
            name,
            "journal",
            columns,
            sqlite_where=sa.text("change = 1"),
            postgresql_where=sa.text("change"),
        )


def downgrade() -> None:
    for name in _INDEXES:
        op.drop_index(name, table_name="journal")
    op.drop_column("journal", "change")
