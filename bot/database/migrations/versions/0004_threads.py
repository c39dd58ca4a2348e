"""Threads: which incidents carry their timeline and discussion in one."""

import sqlalchemy as sa
from alembic import op

from bot.database.schema import BigId, UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("destination", sa.Column("thread", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_table(
        "thread",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("channel_id", BigId, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("over", sa.Boolean(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("thread_id", BigId, nullable=True),
        sa.Column("told_name", sa.Text(), nullable=True),
        sa.Column("told_archived", sa.Boolean(), nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("delivered", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("retry_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("kind", "key", "channel_id", name=op.f("pk_thread")),
        sa.UniqueConstraint("thread_id", name=op.f("uq_thread_thread_id")),
    )
    is_due = sa.text("wanted > delivered")
    op.create_index("ix_thread_due", "thread", ["retry_at"], sqlite_where=is_due, postgresql_where=is_due)


def downgrade() -> None:
    op.drop_index("ix_thread_due", table_name="thread")
    op.drop_table("thread")
    op.drop_column("destination", "thread")
