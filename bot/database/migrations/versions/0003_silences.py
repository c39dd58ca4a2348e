"""Silences: what keeps an incident quiet, which silences are known, what is drafted."""

import sqlalchemy as sa
from alembic import op

from bot.database.schema import BigId, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("incident", sa.Column("muting", sa.JSON(), nullable=True))
    by_hand = sa.text("closed_by IS NOT NULL")
    op.create_index(
        "ix_incident_closed_by_hand", "incident", ["source"], sqlite_where=by_hand, postgresql_where=by_hand
    )
    op.create_table(
        "silence",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("has_begun", sa.Boolean(), nullable=False),
        sa.Column("end_is_told", sa.Boolean(), nullable=False),
        sa.Column("incident", BigId, nullable=True),
        sa.Column("touched_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["incident"], ["incident.number"], name=op.f("fk_silence_incident_incident"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("source", "id", name=op.f("pk_silence")),
    )
    op.create_index("ix_silence_incident", "silence", ["incident"])
    op.create_table(
        "silence_draft",
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("by_id", sa.Text(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("taken_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_silence_draft")),
    )


def downgrade() -> None:
    op.drop_table("silence_draft")
    op.drop_index("ix_silence_incident", table_name="silence")
    op.drop_table("silence")
    op.drop_index("ix_incident_closed_by_hand", table_name="incident")
    op.drop_column("incident", "muting")
