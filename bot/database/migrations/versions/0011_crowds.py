"""Crowds: which stories are told together, and when each was first told."""

import sqlalchemy as sa
from alembic import op

from bot.database.schema import BigId, UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("argocd_episode", sa.Column("told_at", UtcDateTime(), nullable=True))
    op.add_column("argocd_episode", sa.Column("crowd", BigId, nullable=True))
    op.create_index("ix_argocd_episode_crowd", "argocd_episode", ["crowd"])
    op.create_index("ix_argocd_episode_told", "argocd_episode", ["channel_id", "told_at"])


def downgrade() -> None:
    op.drop_index("ix_argocd_episode_told", "argocd_episode")
    op.drop_index("ix_argocd_episode_crowd", "argocd_episode")
    op.drop_column("argocd_episode", "crowd")
    op.drop_column("argocd_episode", "told_at")
