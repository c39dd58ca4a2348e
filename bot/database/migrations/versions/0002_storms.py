"""Storms: which there were, who is in them, who was called."""

import sqlalchemy as sa
from alembic import op

from bot.database.schema import BigId, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "storm",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("channel_id", BigId, nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("forced", sa.Boolean(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.Column("settled_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_storm")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_storm_channel", "storm", ["channel_id", "id"])
    op.create_table(
        "storm_line",
        sa.Column("storm", BigId, nullable=False),
        sa.Column("incident", BigId, nullable=False),
        sa.Column("page", sa.Integer(), nullable=True),
        sa.Column("joined_at", UtcDateTime(), nullable=False),
        sa.Column("released_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["storm"], ["storm.id"], name=op.f("fk_storm_line_storm_storm"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["incident"],
            ["incident.number"],
            name=op.f("fk_storm_line_incident_incident"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("storm", "incident", name=op.f("pk_storm_line")),
    )
    op.create_index("ix_storm_line_page", "storm_line", ["storm", "page"])
    op.create_index("ix_storm_line_joined_at", "storm_line", ["storm", "joined_at"])
    op.create_index("ix_storm_line_incident", "storm_line", ["incident"])
    op.create_table(
        "storm_mention",
        sa.Column("channel_id", BigId, autoincrement=False, nullable=False),
        sa.Column("mention", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("said_at", UtcDateTime(), nullable=True),
        sa.Column("owed", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("channel_id", "mention", name=op.f("pk_storm_mention")),
    )


def downgrade() -> None:
    op.drop_table("storm_mention")
    op.drop_index("ix_storm_line_incident", table_name="storm_line")
    op.drop_index("ix_storm_line_joined_at", table_name="storm_line")
    op.drop_index("ix_storm_line_page", table_name="storm_line")
    op.drop_table("storm_line")
    op.drop_index("ix_storm_channel", table_name="storm")
    op.drop_table("storm")
