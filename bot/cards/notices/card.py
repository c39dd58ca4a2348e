"""How a notice looks."""

from bot.cards.notices.model import Notice
from bot.chat import layout
from bot.chat.action import button, custom_id
from bot.chat.rendered import Rendered
from bot.chat.text import cut, timestamp

ACTION = "notice"

_TEXT = 1500


def render_notice(notice: Notice) -> Rendered:
    """Render what is wrong, what to do, and since when."""
    when = f"{timestamp(notice.first_at, 'f')}"
    if notice.count > 1:
        when = f"{notice.count} times · first {when} · last {timestamp(notice.last_at, 'R')}"
    view = layout.view(
        layout.container(
            layout.text(f"### NOTICE · {notice.title}", layout.subtext(when)),
            layout.gap(),
            layout.text(cut(notice.text, _TEXT)),
            layout.row(button(ACTION, str(notice.id), "Details")),
            colour=layout.QUIET,
        )
    )
    return Rendered(view=view, marker=custom_id(ACTION, str(notice.id)), silent=True)


def render_notice_details(notice: Notice) -> Rendered:
    """Render the whole text for the one who asks."""
    view = layout.view(
        layout.container(
            layout.text(f"### {notice.title}"),
            layout.text(cut(notice.text, 3500)),
            layout.text(
                layout.subtext(
                    f"notice {notice.id} · first {timestamp(notice.first_at, 'f')}"
                    f" · last {timestamp(notice.last_at, 'f')} · {notice.count} times"
                )
            ),
        )
    )
    return Rendered(view=view, marker="")
