"""Text is text, whoever wrote it: nothing of it is run, and none of it is lost."""

from playwright.sync_api import Page, expect

from tests.server.page.mock import Answer, Mock, Pass
from tests.server.page.person import converse

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(2)</script>",
    "<svg/onload=alert(3)>",
    "</p></div><h1>Not a heading</h1><style>*{display:none}</style>",
    "<a href='javascript:alert(4)'>click</a><iframe srcdoc='<script>alert(5)</script>'></iframe>",
    "&lt;b&gt;&amp;&nbsp;&#60;",
    "\u202eevil\u202c \u2066isolated\u2069 \u200fmark",
    "\x00\x07\x1b[31m\x7f\u0085\ufeff\ufffd",
    "e" + "\u0301" * 40,
    "👩" + "\u200d👩\u200d👧",
    "longest" * 400,
    "${alert(6)}{{alert(7)}}`\\",
]


def test_model_text_is_shown_as_it_is(page: Page, mock: Mock) -> None:
    elements = set(page.locator("body *").evaluate_all("all => all.map((element) => element.localName)"))
    for text in HOSTILE:
        half = len(text) // 2  # borders of tokens lie anywhere, in tags and in characters of several code points
        parts = (text[:half], text[half:], text)
        mock.answers += [Answer([Pass("own", parts, ((0, text), (1, text)))], first=text)]
        assert converse(page, text).text_content() == text + "".join(parts) + "own"
        assert mock.requests[-1]["messages"][0]["content"] == text.strip()
        assert page.locator(".question").text_content() == text.strip()
        new = set(page.locator("body *").evaluate_all("all => all.map((element) => element.localName)")) - elements
        assert new <= {"g", "rect", "text"}, text  # a tree; everything else was there before
        expect(page.locator("#tree svg .node")).to_have_count(7)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), text
        page.get_by_role("button", name="New conversation").click()
    # ``page`` itself makes sure that no dialog came up, nothing threw and the policy had nothing to forbid


def test_other_fields_are_no_html_either(page: Page, mock: Mock) -> None:
    mock.answers += [Answer(status=400, error=HOSTILE[0])]
    page.get_by_label("Message", exact=True).fill("Hello?")
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_have_text(HOSTILE[0])
    page.route("**/v1/models", lambda route: route.fulfill(json={"data": [{"id": HOSTILE[1]}]}))
    page.reload()
    expect(page.locator("#model")).to_have_text(HOSTILE[1])
    page.evaluate("localStorage.setItem('frspec.sampling', JSON.stringify({system: '<b>', top_k: {}, __proto__: 1}))")
    page.reload()
    expect(page.get_by_label("System message")).to_have_value("<b>")
    expect(page.get_by_label("Top k")).to_have_value("")


def test_labels_of_the_tree_spell_out_what_would_steer_the_page(page: Page, mock: Mock) -> None:
    texts = ("\u202ex", "a\nb\tc d", "\u0301", "\x1b", "long" * 9, "")
    mock.answers += [Answer([Pass("end", texts)], first="Once")]
    converse(page, "Hello?")
    labels = page.locator("#tree .node.accepted.draft").all_text_contents()
    assert labels == ["\\u202ex", "a⏎b⇥c·d", "◌\u0301", "\\u001b", "longlonglonglon…", "∅"]


ATTEMPTS = [
    ("document.createElement('p').innerHTML = '<b>bold</b>'", "require-trusted-types-for"),
    (
        "const e = document.createElement('script'); e.text = 'ran = 1'; document.body.append(e)",
        "require-trusted-types",
    ),
    ("const e = document.createElement('p'); e.setAttribute('onclick', 'ran = 1'); e.click()", "require-trusted-types"),
    ("import('data:text/javascript,ran = 1').catch(() => {})", "script-src-elem"),
    ("const e = document.createElement('p'); e.setAttribute('style', 'color: red')", "style-src-attr"),
    ("new Image().src = 'http://127.0.0.1:9/pixel'", "img-src"),
    ("fetch('http://127.0.0.1:9/').catch(() => {})", "connect-src"),
    ("const e = document.createElement('iframe'); e.src = 'http://127.0.0.1:9/'; document.body.append(e)", "frame-src"),
]


def test_the_policy_would_have_forbidden_it(page: Page, mock: Mock, complaints: list[str]) -> None:
    """If there were a hole in the page, the browser would still not go through it."""
    for attempt, directive in ATTEMPTS:
        with page.expect_console_message(lambda line, begin=directive: line.text.startswith(f"violation of {begin}")):
            page.evaluate(f"() => {{ try {{ {attempt} }} catch {{ }} }}")
        assert page.evaluate("window.ran") is None
    complaints.clear()
