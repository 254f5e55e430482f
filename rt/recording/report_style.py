"""The report page's style: the live page's colours, readable on paper, every text at 4.5:1 or more."""

STYLE = """
:root{color-scheme:light dark;--ground:#eef3f2;--card:#fff;--ink:#10201f;--soft:#475857;--line:#d8e1e0;
--right:#0b6e69;--left:#b45309;--good:#176f43;--good-soft:#cfe9da;--warn:#9a4a06;--warn-soft:#fbe8d3}
@media (prefers-color-scheme:dark){:root{--ground:#0b1211;--card:#141d1c;--ink:#e9f1f0;--soft:#a6b8b6;--line:#2b3938;
--right:#4cc3b8;--left:#f5b262;--good:#63cf93;--good-soft:#1b4a31;--warn:#f5b262;--warn-soft:#4a3011}}
*{box-sizing:border-box;margin:0}
body{background:var(--ground);color:var(--ink);font:15px/1.45 -apple-system,"Segoe UI",Inter,Roboto,"Noto Sans",
"Liberation Sans",Arial,sans-serif;font-variant-numeric:tabular-nums}
main{max-width:1200px;margin:0 auto;padding:1.2rem;display:grid;gap:1rem}
h1{font-size:1.7rem;letter-spacing:-.02em}
h2{font-size:1.02rem;margin-bottom:.55rem}
h2 small,.soft,small{color:var(--soft);font-weight:400;font-size:.82rem}
header,section,details,.tile{background:var(--card);border:1px solid var(--line);border-radius:.9rem;
padding:.9rem 1.1rem}
header{display:grid;gap:.35rem}
.brand{color:var(--right);font-weight:650;font-size:.86rem}
.notice{border-top:1px solid var(--line);padding-top:.5rem;margin-top:.2rem;font-weight:600}
.badge{display:inline-block;border:1px solid currentcolor;border-radius:1rem;
padding:.05rem .6rem;margin:0 .35rem .2rem 0;font-size:.8rem;color:var(--soft);white-space:nowrap}
.badge.good{background:var(--good-soft);color:var(--good)}
.badge.warn{background:var(--warn-soft);color:var(--warn);font-weight:600}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(160px,1fr));gap:1rem}
dt{color:var(--soft);font-size:.82rem}
dd{margin:0;font-size:1.45rem;font-weight:650;letter-spacing:-.01em}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,430px),1fr));gap:.9rem 1.4rem}
figure{min-width:0}
figcaption{font-weight:600;font-size:.88rem;text-transform:capitalize}
svg{display:block;width:100%;height:auto}
.legend{display:flex;gap:1.4rem;flex-wrap:wrap;font-size:.84rem;color:var(--soft);margin-bottom:.5rem}
.legend span{display:inline-flex;align-items:center;gap:.45rem}
.legend svg{width:34px;height:10px}
path{fill:none}
path.right,path.picture{stroke:var(--right);stroke-width:1.6}
path.left,path.emg{stroke:var(--left);stroke-width:1.6;stroke-dasharray:5 2.5}
section>.notice{border:0;padding:0;margin:0 0 .5rem}
path.grid{stroke:var(--line);stroke-width:1}
rect.gap{fill:var(--warn);opacity:.28}
text{font-size:10.5px;fill:var(--soft)}
text.y{text-anchor:end}
text.x{text-anchor:middle}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,430px),1fr));gap:1rem;align-items:start}
table{border-collapse:collapse;width:100%;font-size:.88rem}
th,td{text-align:right;padding:.28rem .5rem;border-top:1px solid var(--line);font-weight:400;vertical-align:top}
thead th{border-top:0;color:var(--soft);font-size:.8rem}
th:first-child,td:first-child,.told th,.told td{text-align:left}
.told td:last-child{width:75%}
td .badge{margin:0}
summary{cursor:pointer;font-weight:600}
details section{border:0;padding:.5rem 0 0}
ul{padding-left:1.1rem}
@media print{body{background:#fff}main{padding:0;max-width:none}header,section,.tile{break-inside:avoid}}
"""
