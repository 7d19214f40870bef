'use strict'

/** Inline, so that the page needs no other file. Colours are variables, for light and dark mode. */
const style = `
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #fff; --text: #1b1f24; --quiet: #57606a; --line: #d8dee4;
  --good: #1a7f37; --warn: #8a5a00; --bad: #b3261e; --accent: #0a5cc2;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #0e1116; --card: #171b22; --text: #e6e9ee; --quiet: #9aa4b1; --line: #2d333c;
    --good: #4ac26b; --warn: #e0a63a; --bad: #ff7b72; --accent: #6cb0ff;
  }
}
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 32px 20px 48px; }
h1 { font-size: 26px; margin: 0; }
h2 { font-size: 18px; margin: 0 0 12px; }
h3 { font-size: 14px; font-weight: 600; margin: 16px 0 4px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 20px; margin-top: 20px; overflow-x: auto; }
.quiet { color: var(--quiet); margin: 4px 0 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin-top: 20px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; }
.tile strong { display: block; font-size: 24px; line-height: 1.3; }
.tile span { color: var(--quiet); }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; color: var(--quiet); padding-bottom: 8px; }
th, td { text-align: left; padding: 7px 12px 7px 0; border-bottom: 1px solid var(--line); vertical-align: baseline; }
thead th { color: var(--quiet); font-weight: 500; white-space: nowrap; }
tbody th { font-weight: 500; }
tbody tr:last-child > * { border-bottom: 0; }
td.number { font-variant-numeric: tabular-nums; text-align: right; padding-right: 24px; }
thead th.number { text-align: right; padding-right: 24px; }
.name, code { font: 13px ui-monospace, monospace; overflow-wrap: anywhere; }
tbody th.name, td code { overflow-wrap: break-word; }
.mark { font-weight: 600; white-space: nowrap; }
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); }
ul { margin: 0; padding: 0; list-style: none; }
svg { display: block; width: 100%; max-width: 760px; height: auto; margin-bottom: 12px; }
.legend { display: inline-block; width: 10px; height: 10px; border-radius: 50%; margin: 0 4px 0 12px; }
.legend.p50 { background: var(--accent); } .legend.p95 { background: var(--quiet); } .legend.p99 { background: var(--warn); }
svg text { fill: var(--text); font: 12px system-ui, sans-serif; }
svg .label { text-anchor: end; }
svg .tick { fill: var(--quiet); text-anchor: middle; font-size: 11px; }
svg .grid { stroke: var(--line); }
svg .threshold { stroke: var(--bad); stroke-width: 2; stroke-dasharray: 4 3; }
svg .threshold-label { fill: var(--bad); }
svg .span { stroke: var(--accent); stroke-width: 6; stroke-linecap: round; opacity: 0.35; }
svg .p50 { fill: var(--accent); } svg .p95 { fill: var(--quiet); } svg .p99 { fill: var(--warn); }
svg .due { fill: var(--bad); } svg .announced { fill: var(--warn); } svg .later { fill: var(--accent); }
svg .hits { fill: var(--accent); } svg .below { fill: var(--warn); } svg .tick-y { fill: var(--quiet); font-size: 11px; }
svg .manual, svg .unknown { fill: var(--quiet); }
/* A chart keeps the size of its text, and scrolls by itself where it has no room. */
.chart { overflow-x: auto; }
.chart svg { min-width: 600px; }
@media screen and (max-width: 640px) {
  main { padding: 20px 12px 32px; }
  section { padding: 16px 14px; }
  /* Each cell has its line, behind its heading. */
  table, caption, tbody, tbody tr, tbody th, tbody td { display: block; }
  thead { display: none; }
  tbody tr { padding: 10px 0; border-bottom: 1px solid var(--line); }
  tbody tr:last-child { border-bottom: 0; }
  tbody th, tbody td, td.number { padding: 2px 0; border: 0; text-align: left; }
  tbody td::before { content: attr(data-label) ': '; color: var(--quiet); }
}
/* Paper is white, and a long table goes on over the pages. */
@media print {
  :root { color-scheme: light; }
  .chart svg { min-width: 0; } body { background: none; } section { overflow: visible; }
  tr, .tile, .chart { break-inside: avoid; } h2, caption { break-after: avoid; }
}
`

module.exports = { style }
