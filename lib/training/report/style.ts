/** The page's looks: one column on a phone, light or dark as the reader has it. */
export const STYLE = `
:root { color-scheme: light dark; --page: #f6f6f3; --card: #fff; --ink: #22252a; --soft: #6b7078; --rule: #e3e3de;
  --accent: #0072b2; --warn: #a04000; --warn-page: #fdf1e7; --curve-rule: #ebebe7; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14161a; --card: #1c1f24; --ink: #e4e6ea; --soft: #979da8; --rule: #2d3138; --accent: #56b4e9;
    --warn: #f0a868; --warn-page: #2c2219; --curve-rule: #2a2e35; }
  svg .lgd { stroke: #4aa3df } svg .lgi { stroke: #f0803c } svg .lrx { stroke: #2fbf93 } svg .gp { stroke: #c9a227 }
  svg circle.lgd { fill: #4aa3df } svg circle.lgi { fill: #f0803c } svg circle.lrx { fill: #2fbf93 }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
main { max-width: 1120px; margin: 0 auto; padding: 32px 20px 64px }
h1 { font-size: 26px; line-height: 1.25; margin: 0; overflow-wrap: anywhere }
h2 { font-size: 18px; margin: 44px 0 4px }
h3 { font-size: 15px; margin: 20px 0 4px }
p { margin: 0 0 12px } .soft, figcaption { color: var(--soft); font-size: 14px }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(128px, 1fr)); gap: 16px; margin: 18px 0 0 }
.facts dt { color: var(--soft); font-size: 13px } .facts dd { margin: 0; font-size: 19px; font-variant-numeric: tabular-nums }
progress { appearance: none; display: block; width: 100%; height: 6px; margin: 18px 0 0; border: 0; border-radius: 3px;
  overflow: hidden; background: var(--rule) }
progress::-webkit-progress-bar { background: var(--rule) } progress::-webkit-progress-value { background: var(--accent) }
progress::-moz-progress-bar { background: var(--accent) }
.warning { margin: 18px 0 0; padding: 10px 14px; border-left: 3px solid var(--warn); background: var(--warn-page) }
.pair, .panels, .strip { display: grid; gap: 16px; margin-top: 12px }
.pair { grid-template-columns: repeat(auto-fit, minmax(min(100%, 380px), 1fr)); align-items: start }
.panels { grid-template-columns: repeat(auto-fit, minmax(min(100%, 320px), 1fr)) }
.strip { grid-template-columns: repeat(auto-fill, minmax(140px, 1fr)); gap: 12px }
figure { margin: 0; padding: 12px; background: var(--card); border: 1px solid var(--rule); border-radius: 8px }
figure img, figure svg { display: block; width: 100%; height: auto }
figcaption { margin-top: 8px }
.strip figure { padding: 8px } .strip figcaption { margin-top: 4px; text-align: center }
.film { max-width: 520px; margin-top: 12px } .film input { width: 100%; margin: 12px 0 0; accent-color: var(--accent) }
svg text { fill: var(--ink) } svg .muted { fill: var(--soft) } svg .paper { fill: none }
svg .rule { stroke: var(--curve-rule) } svg .axis { stroke: var(--soft) }
.scroll { overflow-x: auto } table { border-collapse: collapse; width: 100%; margin-top: 8px; font-size: 14px }
th, td { padding: 6px 16px 6px 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--rule) }
th { color: var(--soft); font-weight: 500 } td { overflow-wrap: anywhere } tr > :first-child { white-space: nowrap }
td:first-child, code { font-family: ui-monospace, monospace; font-size: 13px } tr.changed td:nth-child(-n + 2) { font-weight: 600 }
td.text { min-width: 180px; color: var(--soft) }
details { margin-top: 16px } summary { cursor: pointer; color: var(--accent) }
`;
