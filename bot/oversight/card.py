"""How answers to operators look."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import discord

from bot.access.model import Decision, Grant, Reason
from bot.chat import layout
from bot.chat.action import button, select
from bot.chat.keys import pack, unpack
from bot.chat.text import TimestampStyle, code, cut, cut_plain, escape, link, timestamp, units
from bot.core.errors import InvalidError
from bot.core.findings import Finding
from bot.core.status import Offer, StatusLine
from bot.journal.model import Outcome, Recorded
from bot.journal.words import change_line
from bot.oversight.model import (
    About,
    AccessAnswer,
    AuditPage,
    AuditQuestion,
    ChangesPage,
    ChangesQuestion,
    Examination,
    Status,
)

AUDIT = "audit"
"""The action of the buttons that turn the pages of the record; their key is read by `page_asked_for`."""
CHANGES = "changes"
"""The action of the buttons that turn the pages of changes; their key is read by `changes_asked_for`."""
NEWEST = "newest"
YOU = "You"

_REASON = 200
_LINE = 300
_BUDGET = 3_300
_A_DAY = timedelta(hours=24)
_LONGEST_CHANGE = _BUDGET // 10


def render_audit(page: AuditPage) -> discord.ui.LayoutView:
    """Return a page of the record, with buttons to older pages and back to the newest."""
    count = f"{page.total:,} entr{'y' if page.total == 1 else 'ies'}"
    facts = [count, *(_asked(page.question))]
    return layout.view(
        layout.container(
            layout.text("### What people did", layout.subtext(" · ".join(facts))),
            layout.gap(),
            layout.text(*(layout.fitting(map(_entry_line, page.entries), _BUDGET) or ["Nothing matches."])),
            *_turning(page),
        )
    )


def render_changes(page: ChangesPage) -> discord.ui.LayoutView:
    """Return a page of what changed, with buttons to older and newer pages."""
    question = page.question
    more = "" if page.is_all else "more than "
    facts = [
        f"in {code(question.where)}" if question.where else "everywhere",
        f"since {timestamp(question.since, 'f')}",
        f"{more}{page.total:,} change{'' if page.total == 1 else 's'}",
    ]
    if page.pages > 1:
        facts.append(f"page {page.page + 1} of {page.pages}")
    return layout.view(
        layout.container(
            layout.text("### What changed", layout.subtext(" · ".join(facts))),
            layout.gap(),
            layout.text(*(list(_change_lines(page)) or ["Nothing that is known."])),
            *_turning_changes(page),
        )
    )


def changes_asked_for(key: str) -> tuple[ChangesQuestion, int]:
    """Return what the key of a button asks for: the question and the number of its page.

    Raises:
        NotFoundError: Another version of the bot made the button.
    """
    number, since, where = unpack(key, 3)
    return ChangesQuestion(where, datetime.fromtimestamp(int(since), UTC)), int(number)


def page_asked_for(key: str) -> tuple[AuditQuestion, int | None]:
    """Return what the key of a button asks for: the question, and the id before which its page begins.

    Raises:
        NotFoundError: Another version of the bot made the button.
    """
    place, who, action, since = unpack(key, 4)
    moment = datetime.fromtimestamp(int(since), UTC) if since else None
    return AuditQuestion(who, action, moment), None if place == NEWEST else int(place)


def render_access(answer: AccessAnswer, *, subject: str) -> discord.ui.LayoutView:
    """Return who may do something; `subject` is the markup of the one who was asked about, or `YOU`."""
    on = f" on {code(answer.target)}" if answer.target else ""
    return layout.view(
        layout.container(
            layout.text(f"### Who may {code(answer.action)}{on}"),
            layout.text(_verdict(answer.decision, subject)),
            layout.gap(),
            layout.text(*layout.fitting(_grant_lines(answer.grants), _BUDGET)),
        )
    )


def render_status(status: Status) -> discord.ui.LayoutView:
    """Return how each part is, in words and in colour."""
    return layout.view(
        layout.container(
            layout.text("### All is well" if status.ok else "### Something needs a look"),
            layout.text(*layout.fitting(map(_status_line, status.lines), _BUDGET)),
            *(_offered(line.offer) for line in status.lines if line.offer is not None and line.offer.options),
            colour=layout.GOOD if status.ok else layout.WARNING,
        )
    )


def render_examination(examination: Examination) -> discord.ui.LayoutView:
    """Return what was found, in words and in colour, what needs a look first."""
    wrong, findings = examination.wrong, examination.findings
    fine = [finding for finding in findings if finding.is_fine]
    title = f"### {len(wrong)} of {len(findings)} need a look" if wrong else "### All is well"
    return layout.view(
        layout.container(
            layout.text(title),
            layout.text(*layout.fitting(map(_finding_line, [*wrong, *fine]), _BUDGET)),
            layout.text(layout.subtext(f"The same is said by {code('machine doctor')}.")),
            colour=layout.WARNING if wrong else layout.GOOD,
        )
    )


def _finding_line(finding: Finding) -> str:
    word = "OK" if finding.is_fine else "**LOOK**"
    return cut(f"{word} {code(finding.subject)} {escape(finding.text)}", _LINE)


def render_about(about: About) -> discord.ui.LayoutView:
    """Return what this is."""
    links = [made for name, address in about.links if (made := link(name, address))]
    return layout.view(
        layout.container(
            layout.text(
                f"### The Machine {about.version}",
                f"Running since {timestamp(about.started_at, 'f')} ({timestamp(about.started_at)}).",
                "It watches over the platform, says what is relevant, and acts only when a person asks.",
                " · ".join(links),
            )
        )
    )


def render_head_explained() -> discord.ui.LayoutView:
    """Return what a posted head of the journal is for."""
    return layout.view(
        layout.text(
            "**What this line is for**",
            "Everything that people do with the bot is recorded, and each entry carries a hash over all that "
            "stands before it. This line is the hash of one day, kept where the record itself is not: who "
            "rewrites the record afterwards no longer fits it.",
            f"{code('machine audit verify')} compares the record with such lines. Please leave them here.",
        )
    )


def _asked(question: AuditQuestion) -> Iterator[str]:
    if question.who:
        yield f"by <@{question.who}>"
    if question.action:
        yield code(question.action)
    if question.since is not None:
        yield f"since {timestamp(question.since, 'f')}"


def _entry_line(recorded: Recorded) -> str:
    entry = recorded.entry
    number = f"`#{recorded.seq}` " if recorded.seq else ""
    did = f"{number}{timestamp(recorded.at, 'f')} <@{escape(entry.actor.id)}> {code(entry.action)}"
    target = f" {code(entry.target)}" if entry.target else ""
    how = "" if entry.outcome is Outcome.DONE else f" **{entry.outcome.value.upper()}**"
    # A refusal says its reason in our own markup, and the words of people are escaped alike.
    why = f": {cut(escape(entry.reason), _REASON)}" if entry.reason else ""
    return cut(f"{did}{target}{how}{why}", _LINE)


def _change_lines(page: ChangesPage) -> Iterator[str]:
    """Yield a line for each change, short enough for all of them to fit."""
    is_long = any(change.at - page.question.since > _A_DAY for change, _ in page.changes)
    style: TimestampStyle = "f" if is_long else "t"
    for change, url in page.changes:
        line = change_line(change, style=style, url=url, says_where=not page.question.where)
        yield (
            line if units(line) <= _LONGEST_CHANGE else cut(change_line(change, style=style), _LONGEST_CHANGE)
        )


def _turning_changes(page: ChangesPage) -> tuple[layout.Item, ...]:
    if page.pages <= 1:
        return ()
    try:
        newer, older = (_changes_key(page, number) for number in (page.page - 1, page.page + 1))
    except InvalidError:
        # The name of the place does not fit into a button: a shorter time shows the rest.
        return ()
    return (
        layout.row(
            button(CHANGES, newer, "Newer", disabled=page.page == 0),
            button(CHANGES, older, "Older", disabled=page.page == page.pages - 1),
        ),
    )


def _changes_key(page: ChangesPage, number: int) -> str:
    return pack(str(number), str(int(page.question.since.timestamp())), page.question.where)


def _turning(page: AuditPage) -> tuple[layout.Item, ...]:
    buttons = []
    if not page.is_newest:
        buttons.append(button(AUDIT, _key(NEWEST, page.question), "Newest"))
    if page.older_than is not None:
        buttons.append(button(AUDIT, _key(str(page.older_than), page.question), "Older"))
    return (layout.row(*buttons),) if buttons else ()


def _key(place: str, question: AuditQuestion) -> str:
    since = str(int(question.since.timestamp())) if question.since else ""
    return pack(place, question.who, question.action, since)


def _verdict(decision: Decision, subject: str) -> str:
    verb = f"**{subject} may**" if decision.allowed else f"**{subject} may not**"
    if subject == YOU and decision.missing:
        return f"{verb}: {decision.missing}."
    if decision.grant is not None:
        return f"{verb}: {code(decision.grant.name)}{_approvals(decision.approvals)}."
    return f"{verb}{_BECAUSE.get(decision.reason, '')}."


_BECAUSE = {
    Reason.ADMINISTRATOR: ", as an administrator",
    Reason.OTHER_TARGET: " here: a grant covers the action, but on other things",
    Reason.CLOSED: " now: a grant covers it, but only at certain times",
    Reason.NO_GRANT: ": no grant covers it",
}


def _grant_lines(grants: Sequence[Grant] | None) -> Iterator[str]:
    if grants is None:
        yield "No access policy is configured: only administrators of this server may act."
        return
    if not grants:
        yield "Nobody may: no grant covers it. A grant is a line under `access.grants` of the configuration."
    for grant in grants:
        people = [
            *(f"<@&{role}>" for role in sorted(grant.roles)),
            *(f"<@{user}>" for user in sorted(grant.users)),
        ]
        named = " ".join(people) or "nobody"
        yield cut(f"- {named}: {code(grant.name)}{_approvals(grant.approvals)}{_during(grant)}", _LINE)


def _during(grant: Grant) -> str:
    return f", while open: {', '.join(code(str(window)) for window in grant.during)}" if grant.during else ""


def _approvals(number: int) -> str:
    if not number:
        return ""
    return f", with {number} approval{'' if number == 1 else 's'}"


def _offered(offer: Offer) -> layout.Item:
    options = [
        discord.SelectOption(label=cut_plain(option, layout.LONGEST_OPTION), value=option)
        for option in offer.options
    ]
    return layout.row(select(offer.action, "status", options, offer.prompt))


def _status_line(line: StatusLine) -> str:
    word = "OK" if line.ok else "PROBLEM"
    since = f" since {timestamp(line.since)}" if line.since else ""
    return cut(f"{word} · **{escape(line.name)}** {escape(line.text)}{since}", _LINE)
