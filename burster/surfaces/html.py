"""The little HTML that the status page and the reports share: escaping, tables, bars, one style sheet, no outside resource."""

import base64
import hashlib
import html
from collections.abc import Iterable, Sequence
from typing import Final


STYLE: Final = """
:root{color-scheme:light dark;--ink:#1b2733;--soft:#5b6b7a;--line:#d5dde5;--paper:#fff;--fill:#2f6fb0;--hot:#c2452d;--good:#2d8a57}
@media(prefers-color-scheme:dark){:root{--ink:#e4ebf2;--soft:#9aabbb;--line:#34424f;--paper:#141b22;--fill:#5aa2e6;--hot:#ef7a5f;--good:#5cc48d}}
body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:70rem;margin:1.5rem auto;padding:0 1rem}
h1{font-size:1.4rem;margin:0 0 .3rem}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}
p{margin:.3rem 0}.soft{color:var(--soft)}.bad{color:var(--hot)}.good{color:var(--good)}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.25rem .6rem .25rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--soft);font-weight:600}td.n,th.n{text-align:right}
.wide{overflow-x:auto}svg{max-width:100%;height:auto}svg text{fill:var(--soft);font:11px system-ui,sans-serif}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:.4rem 0}dt{color:var(--soft)}dd{margin:0}
""".strip()


def style_hash() -> str:
    """Return the CSP source of the one style sheet."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode() + "'"


def content_security_policy() -> str:
    """Return the policy for a page of ours: nothing from anywhere, no script, our own style sheet only."""
    return f"default-src 'none'; style-src {style_hash()}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def escape(text: object) -> str:
    """Return text that is safe anywhere in HTML, attributes too."""
    return html.escape(str(text), quote=True)


def document(title: str, body: Iterable[str], *, refresh_s: int = 0) -> str:
    """Return a whole page; ``body`` is HTML already."""
    refresh = f'<meta http-equiv="refresh" content="{refresh_s}">' if refresh_s else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1">{refresh}'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "none") -> str:
    """Return a table of text; a column whose name ends in ``#`` holds numbers. ``empty`` is said where there are no rows."""
    names = [column.removesuffix("#") for column in columns]
    classes = [' class="n"' if column.endswith("#") else "" for column in columns]
    lines = [
        "<tr>" + "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(classes, row, strict=True)) + "</tr>"
        for row in rows
    ]
    if not lines:
        return f'<p class="soft">{escape(empty)}</p>'
    head = "".join(f"<th{kind}>{escape(name)}</th>" for kind, name in zip(classes, names, strict=True))
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """Return a list of names and values."""
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs) + "</dl>"


def bar(label: str, part: int, whole: int, text: str) -> str:
    """Return a horizontal bar as SVG, red from nine tenths on. The label is read out, the text is shown beside it."""
    share = 0.0 if whole <= 0 else min(1.0, max(0.0, part / whole))
    colour = "var(--hot)" if share >= 0.9 else "var(--fill)"  # noqa: PLR2004 -- from here on a person should look
    return (
        f'<p><svg width="320" height="14" role="img" aria-label="{escape(label)}: {escape(text)}">'
        f'<rect width="320" height="14" rx="3" fill="var(--line)"/>'
        f'<rect width="{320 * share:.1f}" height="14" rx="3" fill="{colour}"/></svg> '
        f"{escape(label)} <span>{escape(text)}</span></p>"
    )
