/** Small charts that stand beside one another, each of one quantity or of a few of one kind. */
import { chart, document, type Frame, type Series, short } from './chart.js';

export const PANEL_WIDTH = 460;
export const PANEL_HEIGHT = 280;
const MARGIN = 16;
const FRAME: Frame = {
  left: 62,
  right: PANEL_WIDTH - MARGIN,
  top: 66,
  bottom: PANEL_HEIGHT - 32,
  ticks: { x: 5, y: 4 },
};
/** Between two entries of a legend. */
const GAP = 16;
/** Width of a character of a label, about, in the SVG's units. */
const CHARACTER = 7.6;

export interface Panel {
  /** In one row with the note: about 45 characters for both. */
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
  return [
    `<text x="${FRAME.left}" y="25" font-size="15" font-weight="600">${title}</text>`,
    `<text class="muted" x="${FRAME.right}" y="25" text-anchor="end" fill="#777">${note}</text>`,
    ...drawLegend(series),
    ...chart(FRAME, series, lastStep),
  ];
}

/** One row, which begins further left and is closer where it would not fit. */
function drawLegend(series: readonly Series[]): string[] {
  const entries = series.map(({ label, name, colour, raw, smooth = raw }) => {
    const value = short(smooth.at(-1)?.[1] ?? 0);
    return { label, name, colour, value, width: 18 + (label.length + value.length + 1) * CHARACTER };
  });
  const width = entries.reduce((sum, entry) => sum + entry.width, 0);
  const gaps = entries.length - 1;
  const fits = width + gaps * GAP <= FRAME.right - FRAME.left;
  const gap = fits ? GAP : Math.min(GAP, (FRAME.right - MARGIN - width) / Math.max(1, gaps));
  let x = fits ? FRAME.left : MARGIN;
  return entries.flatMap(({ label, name, colour, value, width }) => {
    const at = Math.round(x);
    x += width + gap;
    return [
      `<path class="${name}" d="M${at} 45h12" stroke="${colour}" stroke-width="3"/>`,
      `<text x="${at + 18}" y="49">${label} <tspan class="muted" fill="#777">${value}</tspan></text>`,
    ];
  });
}
