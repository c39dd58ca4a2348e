"""Deployments: how far the history of each Application is noted."""

import sqlalchemy as sa
from alembic import op

from bot.database.schema import BigId

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("argocd_seen", sa.Column("history", BigId, nullable=True))


def downgrade() -> None:
    op.drop_column("argocd_seen", "history")
