"""Argo CD: what was seen of each Application, and the stories that are told as news."""

import sqlalchemy as sa
from alembic import op

from bot.database.schema import BigId, UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "argocd_seen",
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sync", sa.Text(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("deployed", sa.Text(), nullable=False),
        sa.Column("told", sa.JSON(), nullable=False),
        sa.Column("episode", BigId, nullable=True),
        sa.PrimaryKeyConstraint("namespace", "name", name=op.f("pk_argocd_seen")),
    )
    op.create_index("ix_argocd_seen_finished_at", "argocd_seen", ["finished_at"])
    op.create_table(
        "argocd_episode",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("channel_id", BigId, nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_argocd_episode")),
    )
    op.create_index("ix_argocd_episode_closed_at", "argocd_episode", ["closed_at"])
    op.create_index("ix_argocd_episode_app", "argocd_episode", ["namespace", "name", "id"])


def downgrade() -> None:
    op.drop_table("argocd_episode")
    op.drop_table("argocd_seen")
