"""Minecraft: how servers stand, their past, requests for their whitelists."""

import sqlalchemy as sa
from alembic import op

from bot.database.schema import BigId, UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "minecraft_server",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("condition", sa.Text(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.Column("checked_at", UtcDateTime(), nullable=False),
        sa.Column("down_since", UtcDateTime(), nullable=True),
        sa.Column("alarmed", sa.Boolean(), nullable=False),
        sa.Column("stopped_by", sa.Text(), nullable=True),
        sa.Column("stopped_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_minecraft_server")),
    )
    op.create_table(
        "minecraft_sample",
        sa.Column("server", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("up", sa.Boolean(), nullable=False),
        sa.Column("players", sa.Integer(), nullable=False),
        sa.Column("most", sa.Integer(), nullable=False),
        sa.Column("latency_ms", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("server", "at", name=op.f("pk_minecraft_sample")),
    )
    op.create_index("ix_minecraft_sample_at", "minecraft_sample", ["at"])
    op.create_table(
        "minecraft_hour",
        sa.Column("server", sa.Text(), nullable=False),
        sa.Column("start", UtcDateTime(), nullable=False),
        sa.Column("up_seconds", sa.Integer(), nullable=False),
        sa.Column("down_seconds", sa.Integer(), nullable=False),
        sa.Column("average", sa.Float(), nullable=False),
        sa.Column("peak", sa.Integer(), nullable=False),
        sa.Column("peak_at", UtcDateTime(), nullable=True),
        sa.Column("latency_ms", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("server", "start", name=op.f("pk_minecraft_hour")),
    )
    op.create_index("ix_minecraft_hour_start", "minecraft_hour", ["start"])
    op.create_table(
        "minecraft_request",
        sa.Column("id", BigId, nullable=False),
        sa.Column("server", sa.Text(), nullable=False),
        sa.Column("player", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("asked_in", BigId, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("settled_by", sa.Text(), nullable=True),
        sa.Column("settled_at", UtcDateTime(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_minecraft_request")),
    )
    op.create_index("ix_minecraft_request_state", "minecraft_request", ["state"])


def downgrade() -> None:
    op.drop_table("minecraft_request")
    op.drop_table("minecraft_hour")
    op.drop_table("minecraft_sample")
    op.drop_table("minecraft_server")
