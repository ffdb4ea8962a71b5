"""The style of report pages: system fonts, one column that also fits a phone, light and dark."""

__all__ = ["STYLE"]

STYLE = """
html { color-scheme: light dark; -webkit-text-size-adjust: 100% }
:root { --ink: #1c2429; --faint: #5b6870; --line: #d8dee2; --ground: #fbfcfc; --card: #fff; --band: #9cc7d8;
  --value: #0b4f6c; --track: #e6eaed; --p0: #2a7f9e; --p1: #d98b1f; --p2: #a4343a; --p3: #7a5ea8; --p4: #8a8f3c;
  --p5: #5b6870; --p6: #b9c2c8 }
@media (prefers-color-scheme: dark) { :root { --ink: #e8edf0; --faint: #a3afb7; --line: #37424a; --ground: #14181c;
  --card: #1b2126; --band: #2c5e73; --value: #bfe4f2; --track: #2a333a; --p0: #4aa6c6; --p1: #e2a04a; --p2: #d8666c;
  --p3: #a48cd0; --p4: #b4b964; --p5: #94a1a9; --p6: #566069 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
main { max-width: 72rem; margin: 0 auto; padding: 1.75rem 1.25rem 3rem }
h1 { font-size: 1.5rem; margin: 0; text-wrap: balance } h2 { font-size: 1.05rem; margin: 2.25rem 0 .6rem }
p { margin: .4rem 0 } .faint, figcaption { color: var(--faint); font-size: .9rem }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); gap: .75rem; margin: 1.25rem 0 0 }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .7rem .9rem }
.tile dt { color: var(--faint); font-size: .9rem } .tile p { color: var(--faint); font-size: .85rem; margin: 0 }
.tile dd { margin: 0; font-size: 1.6rem; font-variant-numeric: tabular-nums }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100% }
th, td { text-align: start; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); white-space: nowrap }
thead th { color: var(--faint); font-weight: 500; font-size: .85rem } tbody th { font-weight: 400; white-space: normal;
  min-width: 8rem; overflow-wrap: anywhere } .strong th, .strong td { font-weight: 600 }
.num { text-align: end; font-variant-numeric: tabular-nums } td.chart { width: 22%; min-width: 7rem }
svg { display: block } .bar { width: 100%; height: 20px } .track { fill: var(--track) } .band { fill: var(--band) }
.value { stroke: var(--value); stroke-width: 2.5px; vector-effect: non-scaling-stroke }
.reference { stroke: var(--faint); stroke-width: 1px; stroke-dasharray: 3 2; vector-effect: non-scaling-stroke }
.shares { width: 100%; height: 20px; border-radius: .3rem }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; padding: 0; margin: .5rem 0 }
.key { display: inline-block; width: .8em; height: .8em; border-radius: .2em; margin: 0 .4em 0 0 }
.piece0 { fill: var(--p0); background: var(--p0) } .piece1 { fill: var(--p1); background: var(--p1) }
.piece2 { fill: var(--p2); background: var(--p2) } .piece3 { fill: var(--p3); background: var(--p3) }
.piece4 { fill: var(--p4); background: var(--p4) } .piece5 { fill: var(--p5); background: var(--p5) }
.piece6 { fill: var(--p6); background: var(--p6) }
.histogram { width: 100%; max-width: 36rem; height: auto } .axis { stroke: var(--line) }
.histogram text { fill: var(--faint); font-size: 10px }
.plain { padding-inline-start: 1.1rem; margin: .4rem 0 }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); gap: 1rem }
article { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .8rem; min-width: 0 }
.pictures { display: flex; flex-wrap: wrap; gap: .4rem } figure { margin: 0; min-width: 0 }
.pictures figure:not(:only-child) { flex: 1 1 40% }
img { display: block; max-width: 100%; height: auto; border-radius: .3rem; background: #14181c }
article dl { margin: .5rem 0 0 } article dt { color: var(--faint); font-size: .8rem }
article dd { margin: 0 0 .45rem; white-space: pre-wrap; overflow-wrap: anywhere }
.tags { display: flex; flex-wrap: wrap; gap: .35rem } .tag { border: 1px solid var(--line); border-radius: 1rem;
  padding: .05rem .6rem; font-size: .85rem }
footer { margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: .8rem }
@media print { .cards { display: block } article { break-inside: avoid; margin-bottom: 1rem } }
""".strip()
