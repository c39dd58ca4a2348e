import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.errors import InvalidError
from bot.core.matchers import Matcher, MatchOp, parse_matcher, parse_matchers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("severity=critical", Matcher("severity", MatchOp.EQUAL, "critical")),
        ('severity="critical"', Matcher("severity", MatchOp.EQUAL, "critical")),
        (' severity  !=\t"critical" ', Matcher("severity", MatchOp.NOT_EQUAL, "critical")),
        (
            'alertname=~"Watchdog|InfoInhibitor"',
            Matcher("alertname", MatchOp.REGEX, "Watchdog|InfoInhibitor"),
        ),
        ("alertname=~Watch.*|Info", Matcher("alertname", MatchOp.REGEX, "Watch.*|Info")),
        ('job!~"a.*"', Matcher("job", MatchOp.NOT_REGEX, "a.*")),
        ('"with space"="x"', Matcher("with space", MatchOp.EQUAL, "x")),
        ('k8s.pod-name="x"', Matcher("k8s.pod-name", MatchOp.EQUAL, "x")),
        ("tjeneste=blåbær", Matcher("tjeneste", MatchOp.EQUAL, "blåbær")),
        ('"🙂"="🙂"', Matcher("🙂", MatchOp.EQUAL, "🙂")),
        (r'a="\"\\\n\t\x41\101\u00e5\U0001F642"', Matcher("a", MatchOp.EQUAL, '"\\\n\tAAå🙂')),
        (r'a=~"\\d+"', Matcher("a", MatchOp.REGEX, r"\d+")),
        (r'a=~"\d+\.\d"', Matcher("a", MatchOp.REGEX, r"\d+\.\d")),
        ('a=""', Matcher("a", MatchOp.EQUAL, "")),
        ('{a="b"}', Matcher("a", MatchOp.EQUAL, "b")),
    ],
)
def test_a_matcher_is_read_as_alertmanager_reads_it(text: str, expected: Matcher) -> None:
    assert parse_matcher(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{a="b", c=~"d"}', ['a="b"', 'c=~"d"']),
        ('{a="b",}', ['a="b"']),
        ("a=b,c!=d", ['a="b"', 'c!="d"']),
        ('{a="b, c=d}", e=f}', ['a="b, c=d}"', 'e="f"']),
        ("{}", []),
        ("", []),
    ],
)
def test_a_list_is_read_with_and_without_braces(text: str, expected: list[str]) -> None:
    assert [str(matcher) for matcher in parse_matchers(text)] == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a", "one of = != =~ !~ at position 2"),
        ("=b", "the name of a label at position 1"),
        ("a=", 'a value .an empty one is written "". at position 3'),
        ('""="b"', "the name of a label"),
        ('a="b', "a closing quotation mark"),
        ('a="b\\"', "a closing quotation mark"),
        ('{a="b"', "a closing brace"),
        ('{a="b" c="d"}', "a comma or a closing brace"),
        ('a="b"}', "a comma or the end"),
        ('{a="b"} x', "the end"),
        ("{,}", "the name of a label"),
        ("a==b", "a value"),
        ("a='b'", "a value"),
        ('a=~"("', "a regular expression: "),
        ('a=~"[[:alpha:]]"', "without"),
        (r'a=~"\\pL"', "a regular expression: bad escape"),
        ('a=~"x(?i)y"', "a regular expression: global flags"),
        ('a=~"x{99999999999999999999}"', "a regular expression: "),
        ("\ud800=x", "valid Unicode"),
    ],
)
def test_what_is_no_matcher_is_refused_with_what_was_expected(text: str, reason: str) -> None:
    with pytest.raises(InvalidError, match=reason):
        parse_matchers(text)


def test_one_matcher_is_not_two() -> None:
    with pytest.raises(InvalidError, match=r"expected one matcher .* found 2"):
        parse_matcher("a=b,c=d")


@pytest.mark.parametrize(
    ("matcher", "labels", "expected"),
    [
        ("a=b", {"a": "b"}, True),
        ("a=b", {"a": "bb"}, False),
        ("a!=b", {}, True),
        ('a=""', {}, True),
        ('a!=""', {}, False),
        ("a=~b", {"a": "bb"}, False),
        ("a=~b+", {"a": "bb"}, True),
        ("a=~b|c", {"a": "c"}, True),
        ("a=~b|c", {"a": "cx"}, False),
        ("a=~b", {"a": "b\n"}, False),
        ("a=~.*", {}, True),
        ("a=~.+", {}, False),
        ("a!~b.*", {"a": "bc"}, False),
        ("a!~b.*", {"a": "c"}, True),
        (r'a=~"\\d"', {"a": "٥"}, False),
        ("a=~(?i)WARN", {"a": "warn"}, True),
    ],
)
def test_a_matcher_compares_the_whole_value_and_absent_is_empty(
    matcher: str, labels: dict[str, str], expected: bool
) -> None:
    assert parse_matcher(matcher).matches(labels) is expected


_PLAIN = st.sampled_from([MatchOp.EQUAL, MatchOp.NOT_EQUAL])


@given(st.lists(st.builds(Matcher, st.text(min_size=1), _PLAIN, st.text()), max_size=4))
def test_what_is_written_reads_as_itself(matchers: list[Matcher]) -> None:
    text = "{" + ",".join(map(str, matchers)) + "}"
    assert parse_matchers(text) == tuple(matchers)


@given(st.text(), st.dictionaries(st.text(min_size=1), st.text(), max_size=3))
def test_opposites_never_agree(value: str, labels: dict[str, str]) -> None:
    name = next(iter(labels), "absent")
    assert Matcher(name, MatchOp.EQUAL, value).matches(labels) is not Matcher(
        name, MatchOp.NOT_EQUAL, value
    ).matches(labels)


@given(st.text(alphabet='ab={}!~,"\\ ([*n🙂') | st.text())
def test_only_our_own_error_is_raised(text: str) -> None:
    try:
        for matcher in parse_matchers(text):
            assert parse_matcher(str(matcher)) == matcher
    except InvalidError:
        pass
