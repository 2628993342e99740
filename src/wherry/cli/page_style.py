"""How the page looks: one sheet, light and dark by what the reader prefers, narrow and wide, and fit for paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #faf9f6; --card: #ffffff; --ink: #23282c; --soft: #646c73; --line: #e4e1d9;
  --calm: #1f6f78; --calm-tint: #e3eff0; --calm-line: #a9cdd0;
  --warm: #95510f; --warm-tint: #faeddf; --warm-line: #e2b98d;
  --bad: #a8322b; --bad-tint: #fbeae8; --bad-line: #e3aaa5;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --card: #1b1f23; --ink: #e3e5e4; --soft: #98a1a8; --line: #2d3338;
    --calm: #7cc5cb; --calm-tint: #1d3438; --calm-line: #33595e;
    --warm: #e3a871; --warm-tint: #372a1d; --warm-line: #6b4d30;
    --bad: #f0938b; --bad-tint: #3a2220; --bad-line: #74403b;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main, header, footer { max-width: 1060px; margin: 0 auto; padding: 0 28px; }
header { padding-top: 44px; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0; font-weight: 650; overflow-wrap: anywhere; }
h2 { font-size: 1.16rem; margin: 0 0 4px; font-weight: 650; }
p { margin: 0 0 14px; max-width: 70ch; }
code, .mono { font-family: var(--mono); font-size: .86em; unicode-bidi: isolate; }
code { overflow-wrap: anywhere; }
.state { color: var(--soft); font-size: 1rem; font-weight: 400; margin-left: 10px; }
.lead { color: var(--soft); margin: 8px 0 0; max-width: none; }
.about { display: grid; grid-template-columns: max-content 1fr; gap: 2px 18px; margin: 16px 0 0; }
.about dt { color: var(--soft); }
.about dd { margin: 0; min-width: 0; }
nav { margin: 22px 0 0; font-size: .92rem; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0; padding: 0; }
a { color: var(--calm); text-underline-offset: 3px; text-decoration-thickness: 1px; }
a:focus-visible, [tabindex]:focus-visible { outline: 2px solid var(--calm); outline-offset: 3px; border-radius: 4px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 14px; }
section { margin: 22px 0; padding: 22px 24px; }
section > p { color: var(--soft); }
.fine { border-color: var(--calm-line); background: var(--calm-tint); padding: 14px 24px; }
.fine p, .note p, .drift p { margin: 0; color: inherit; max-width: none; }
.drift { border-color: var(--bad-line); background: var(--bad-tint); }
.drift h2 { color: var(--bad); margin-bottom: 10px; }
.reach { border-color: var(--warm-line); background: var(--warm-tint); }
.reach h2 { color: var(--warm); margin-bottom: 10px; }
.reach th, .reach td { border-color: var(--warm-line); }
.reach th, .reach td.why { color: var(--warm); }
.note { border-color: var(--warm-line); background: var(--warm-tint); padding: 14px 24px; }
.costs { display: grid; grid-template-columns: repeat(auto-fit, minmax(116px, 1fr)); gap: 18px 20px; margin: 12px 0 0; }
.costs div { display: flex; flex-direction: column-reverse; justify-content: flex-end; }
.costs dt { font-size: .9rem; line-height: 1.35; }
.costs dt small { display: block; color: var(--soft); font-size: .82rem; margin-top: 2px; }
.costs dd { margin: 0 0 2px; font-size: 1.26rem; font-weight: 600; font-variant-numeric: tabular-nums; }
figure { margin: 14px 0 18px; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; font-size: 12.5px; }
svg text { fill: var(--ink); unicode-bidi: isolate; }
svg .code { font-family: var(--mono); font-size: 11.5px; }
svg .small { fill: var(--soft); font-size: 11.5px; }
svg .strong { font-weight: 650; }
svg .end { text-anchor: end; }
svg .middle { text-anchor: middle; }
.box { fill: var(--card); stroke: var(--calm-line); }
.layer { fill: var(--calm-tint); stroke: var(--calm-line); }
.ghost { fill: var(--card); stroke: var(--calm-line); }
.writable { fill: var(--warm-tint); stroke: var(--warm); stroke-dasharray: 5 4; }
.warm-text { fill: var(--warm) !important; }
.region { fill: none; stroke: var(--line); stroke-width: 1.5; stroke-dasharray: 2 5; stroke-linecap: round; }
.inside { stroke: var(--calm); }
.process { fill: var(--calm-tint); stroke: var(--calm); }
.way { fill: none; stroke: var(--calm); stroke-width: 1.6; }
.head { fill: var(--calm); }
.track { fill: var(--line); }
.open { fill: none; stroke: var(--line); stroke-dasharray: 3 4; stroke-width: 1.5; }
.used { fill: var(--calm); } .used.near { fill: var(--warm); } .used.full { fill: var(--bad); }
.narrow { display: none; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th { text-align: left; font-weight: 550; color: var(--soft); font-size: .82rem; }
th, td { padding: 7px 16px 7px 0; border-bottom: 1px solid var(--line); vertical-align: baseline; }
.drift th, .drift td { border-color: var(--bad-line); }
tr:last-child td { border-bottom: 0; }
th:last-child, td:last-child { padding-right: 0; }
td { min-width: 5em; overflow-wrap: break-word; unicode-bidi: isolate; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
th.number { text-align: right; }
td.why { color: var(--calm); }
td.default { color: var(--soft); }
td.nobody { color: var(--bad); }
.scroll + .scroll { margin-top: 22px; }
footer { color: var(--soft); font-size: .86rem; padding-top: 4px; padding-bottom: 48px; }
@media (max-width: 720px) {
  main, header, footer { padding: 0 14px; }
  header { padding-top: 26px; }
  h1 { font-size: 1.6rem; }
  section { padding: 18px 16px; border-radius: 12px; margin: 16px 0; }
  .state { display: block; margin: 2px 0 0; }
  .wide { display: none; }
  .narrow { display: block; }
  .scroll { overflow-x: visible; }
  table, tbody, tr, td { display: block; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tr { border-bottom: 1px solid var(--line); padding: 10px 0; }
  tr:last-child { border-bottom: 0; }
  td, td.number { display: grid; grid-template-columns: 6.5rem 1fr; gap: 10px; border: 0; padding: 2px 0; }
  td, td.number { text-align: left; white-space: normal; align-items: baseline; overflow-wrap: anywhere; }
  td::before { content: attr(data-label); color: var(--soft); font: .84rem system-ui, sans-serif; }
  td:empty { display: none; }
}
@media print {
  body { background: #fff; font-size: 11px; }
  section { break-inside: avoid; }
  nav { display: none; }
}
"""
