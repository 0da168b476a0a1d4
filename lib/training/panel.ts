/** Small charts that stand beside one another, each of one quantity or of a few of one kind. */
import { chart, document, type Frame, type Series, short } from './chart.js';

export const PANEL_WIDTH = 460;
export const PANEL_HEIGHT = 280;
const FRAME: Frame = {
  left: 62,
  right: PANEL_WIDTH - 16,
  top: 66,
  bottom: PANEL_HEIGHT - 32,
  ticks: { x: 5, y: 4 },
};
/** Width of a character of a label, about, in the SVG's units. */
const CHARACTER = 7.6;

export interface Panel {
  title: string;
  /** How to read it: "lower is better". */
  note: string;
  /** Its label stands under the title with its last value. */
  series: Series[];
}

/** One panel as an SVG of its own. */
export const panelDocument = (panel: Panel, lastStep: number): string =>
  document(PANEL_WIDTH, PANEL_HEIGHT, panel.title, drawPanel(panel, lastStep));

/** Panels in two columns, as one SVG. */
export function panelSheet(title: string, panels: readonly Panel[], lastStep: number): string {
  const columns = Math.min(2, Math.max(1, panels.length));
  const rows = Math.max(1, Math.ceil(panels.length / columns));
  const parts = panels.flatMap((panel, i) => [
    `<g transform="translate(${(i % columns) * PANEL_WIDTH} ${Math.floor(i / columns) * PANEL_HEIGHT})">`,
    ...drawPanel(panel, lastStep),
    '</g>',
  ]);
  return document(columns * PANEL_WIDTH, rows * PANEL_HEIGHT, title, parts);
}

function drawPanel({ title, note, series }: Panel, lastStep: number): string[] {
  let x = FRAME.left;
  const labels = series.flatMap(({ label, name, colour, raw, smooth = raw }) => {
    const value = short(smooth.at(-1)?.[1] ?? 0);
    const parts = [
      `<path class="${name}" d="M${x} 45h12" stroke="${colour}" stroke-width="3"/>`,
      `<text x="${x + 18}" y="49">${label} <tspan class="muted" fill="#777">${value}</tspan></text>`,
    ];
    x += 34 + (label.length + value.length + 1) * CHARACTER;
    return parts;
  });
  return [
    `<text x="${FRAME.left}" y="25" font-size="15" font-weight="600">${title}</text>`,
    `<text class="muted" x="${FRAME.right}" y="25" text-anchor="end" fill="#777">${note}</text>`,
    ...labels,
    ...chart(FRAME, series, lastStep),
  ];
}
