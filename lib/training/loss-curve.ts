import { scaleLinear, scaleLog } from 'd3-scale';
import { line } from 'd3-shape';
import { LOSS_NAMES, type LossName } from '../native.js';
import type { LossPoint } from './loss-history.js';

const WIDTH = 960;
const HEIGHT = 520;
const MARGIN = { top: 56, right: 130, bottom: 52, left: 72 };
/** Okabe and Ito's colours, told apart whatever one's colour vision. */
const COLOURS: Record<LossName, string> = {
  lgd: '#0072b2',
  lgi: '#d55e00',
  lrz: '#56b4e9',
  lrx: '#009e73',
  llz: '#cc79a7',
  gp: '#8a6d00',
};
/** Points a drawn line has at most: beyond this they fall into one pixel. */
const MOST_POINTS = 600;
/** Ratio of the largest to the smallest value from which the y axis is logarithmic. */
const LOG_FROM = 20;

interface Series {
  /** Names of the losses that share the line: LGD and LRZ are one number. */
  names: LossName[];
  colour: string;
  raw: [step: number, value: number][];
  smooth: [step: number, value: number][];
}

/**
 * A self-contained SVG of every loss over the steps: raw values faint, an exponential average over about a thirtieth
 * of the run strong. Losses that are zero throughout are left out. Any number of points, none included.
 */
export function lossCurve(points: readonly LossPoint[]): string {
  const series = toSeries(points);
  const [right, bottom] = [WIDTH - MARGIN.right, HEIGHT - MARGIN.bottom];
  const steps = [0, points.at(-1)?.step ?? 1] as const;
  const x = scaleLinear([...steps], [MARGIN.left, right]);
  const values = series.flatMap(({ raw, smooth }) => [...raw, ...smooth].map(([, value]) => value));
  const [low, high] = values.length === 0 ? [0, 1] : [least(values), most(values)];
  const logarithmic = low > 0 && high / low > LOG_FROM;
  const y = logarithmic
    ? scaleLog([low, high], [bottom, MARGIN.top]).nice()
    : scaleLinear([Math.min(0, low), high > low ? high : low + 1], [bottom, MARGIN.top]).nice();
  const path = line<[number, number]>(
    ([step]) => round(x(step)),
    ([, value]) => round(y(value)),
  );

  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="system-ui, sans-serif" font-size="13" fill="#333">`,
    `<title>Losses over ${steps[1]} steps</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${MARGIN.left}" y="30" font-size="17" font-weight="600">Losses</text>`,
  ];
  const yTicks = logarithmic ? logTicks(low, high) : y.ticks(6);
  for (const tick of yTicks) {
    const at = round(y(tick));
    if (at < MARGIN.top - 1 || at > bottom + 1) continue;
    parts.push(
      `<path d="M${MARGIN.left} ${at}H${right}" stroke="#e4e4e4"/>`,
      `<text x="${MARGIN.left - 10}" y="${at + 4}" text-anchor="end">${number(tick)}</text>`,
    );
  }
  for (const tick of x.ticks(8).filter(Number.isInteger)) {
    const at = round(x(tick));
    parts.push(
      `<path d="M${at} ${bottom}v5" stroke="#999"/>`,
      `<text x="${at}" y="${bottom + 21}" text-anchor="middle">${tick.toLocaleString('en')}</text>`,
    );
  }
  parts.push(
    `<path d="M${MARGIN.left} ${bottom}H${right}" stroke="#999"/>`,
    `<text x="${(MARGIN.left + right) / 2}" y="${HEIGHT - 10}" text-anchor="middle">step</text>`,
  );
  for (const { colour, raw } of series) {
    parts.push(`<path d="${path(raw) ?? ''}" fill="none" stroke="${colour}" stroke-opacity="0.25"/>`);
  }
  for (const { colour, smooth } of series) {
    parts.push(
      `<path d="${path(smooth) ?? ''}" fill="none" stroke="${colour}" stroke-width="2" stroke-linejoin="round"/>`,
    );
  }
  series.forEach(({ names, colour, smooth }, i) => {
    const top = MARGIN.top + 10 + i * 40;
    parts.push(
      `<path d="M${right + 16} ${top}h18" stroke="${colour}" stroke-width="3"/>`,
      `<text x="${right + 40}" y="${top + 4}" font-weight="600">${names.join(', ').toUpperCase()}</text>`,
      `<text x="${right + 40}" y="${top + 20}" fill="#777">${number(smooth.at(-1)?.[1] ?? 0)}</text>`,
    );
  });
  return `${parts.join('\n')}\n</svg>\n`;
}

function toSeries(points: readonly LossPoint[]): Series[] {
  const series: Series[] = [];
  const every = Math.ceil(points.length / MOST_POINTS);
  for (const name of LOSS_NAMES) {
    const all = points.map(({ step, losses }): [number, number] => [step, losses[name]]);
    if (all.every(([, value]) => value === 0)) continue;
    const twin = series.find(({ names: [first] }) =>
      points.every(({ losses }) => first !== undefined && losses[first] === losses[name]),
    );
    if (twin) {
      twin.names.push(name);
      continue;
    }
    const thinned = (list: [number, number][]) => list.filter((_, i) => (list.length - 1 - i) % every === 0);
    series.push({ names: [name], colour: COLOURS[name], raw: thinned(all), smooth: thinned(smoothed(all)) });
  }
  return series;
}

/** Exponential average, freed of its start's weight as in Adam. */
function smoothed(points: readonly [number, number][]): [number, number][] {
  const decay = 1 - 1 / Math.max(1, points.length / 30);
  let sum = 0;
  let weight = 0;
  return points.map(([step, value]) => {
    sum = decay * sum + (1 - decay) * value;
    weight = decay * weight + (1 - decay);
    return [step, sum / weight];
  });
}

/** 1, 2 and 5 times the powers of ten; of many decades the powers alone. */
function logTicks(low: number, high: number): number[] {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const factors = last - first > 3 ? [1] : [1, 2, 5];
  return Array.from({ length: last - first + 1 }, (_, i) => first + i).flatMap((power) =>
    factors.map((factor) => factor * 10 ** power),
  );
}

const least = (values: readonly number[]) => values.reduce((a, b) => Math.min(a, b));
const most = (values: readonly number[]) => values.reduce((a, b) => Math.max(a, b));
const round = (value: number) => Math.round(value * 10) / 10;
const number = (value: number) => String(Number(value.toPrecision(3)));
