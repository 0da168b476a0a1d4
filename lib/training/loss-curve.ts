import { LOSS_NAMES, type LossName } from '../native.js';
import { chart, document, type Frame, type Series, short } from './chart.js';
import type { LossPoint } from './loss-history.js';
import type { Panel } from './panel.js';
import { type Point, smoothed } from './smoothing.js';

const WIDTH = 960;
const HEIGHT = 520;
const FRAME: Frame = { left: 72, right: WIDTH - 130, top: 56, bottom: HEIGHT - 52, ticks: { x: 8, y: 6 } };
/** Okabe and Ito's colours, told apart whatever one's colour vision. */
const COLOURS: Record<LossName, string> = {
  lgd: '#0072b2',
  lgi: '#d55e00',
  lrz: '#56b4e9',
  lrx: '#009e73',
  llz: '#cc79a7',
  gp: '#8a6d00',
};

const MEANINGS: Record<LossName, string> = {
  lgd: 'latents of generated images to the prior',
  lgi: 'generated images to real ones',
  lrz: 'latents of generated images to the prior',
  lrx: 'latents of real images to the prior',
  llz: 'latents to those found again',
  gp: 'gradient penalty',
};

/**
 * A self-contained SVG of every loss over the steps: raw values faint, their local average strong. Losses that are
 * zero throughout are left out. Any number of points, none included.
 */
export function lossCurve(points: readonly LossPoint[]): string {
  const series = lossSeries(points);
  const lastStep = points.at(-1)?.step ?? 1;
  return document(WIDTH, HEIGHT, `Losses over ${lastStep} steps`, [
    `<text x="${FRAME.left}" y="30" font-size="17" font-weight="600">Losses</text>`,
    ...chart(FRAME, series, lastStep),
    `<text x="${(FRAME.left + FRAME.right) / 2}" y="${HEIGHT - 10}" text-anchor="middle">step</text>`,
    ...series.flatMap(drawLegend),
  ]);
}

/** A series for each loss that is not zero throughout; losses that are one number, as LGD and LRZ may be, share one. */
export function lossSeries(points: readonly LossPoint[]): Series[] {
  const shared = new Map<string, { names: LossName[]; raw: Point[] }>();
  for (const name of LOSS_NAMES) {
    const raw = points.flatMap(({ step, losses }): Point[] =>
      losses[name] === undefined ? [] : [[step, losses[name]]],
    );
    if (raw.every(([, value]) => value === 0)) continue;
    const values = raw.map(([, value]) => value).join();
    const twin = shared.get(values);
    if (twin) twin.names.push(name);
    else shared.set(values, { names: [name], raw });
  }
  return [...shared.values()].map(({ names, raw }) => {
    const [name] = names as [LossName];
    const label = names.join(', ').toUpperCase();
    return { label, name, colour: COLOURS[name], raw, smooth: smoothed(raw) };
  });
}

/** A panel for each series, with what it measures. */
export const lossPanels = (points: readonly LossPoint[]): Panel[] =>
  lossSeries(points).map((series) => ({
    title: series.label,
    note: '',
    series: [{ ...series, label: MEANINGS[series.name as LossName] }],
  }));

function drawLegend({ label, name, colour, smooth = [] }: Series, index: number): string[] {
  const { right, top } = FRAME;
  const y = top + 10 + index * 40;
  return [
    `<path class="${name}" d="M${right + 16} ${y}h18" stroke="${colour}" stroke-width="3"/>`,
    `<text x="${right + 40}" y="${y + 4}" font-weight="600">${label}</text>`,
    `<text class="muted" x="${right + 40}" y="${y + 20}" fill="#777">${short(smooth.at(-1)?.[1] ?? 0)}</text>`,
  ];
}
