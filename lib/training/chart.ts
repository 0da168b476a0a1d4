/**
 * Line charts over the steps of a run, as SVG. What it draws carries its colours, and classes by which a page that
 * holds the SVG may give others: paper, rule, axis, muted, and that of each series.
 */
import { type ScaleLinear, type ScaleLogarithmic, scaleLinear, scaleLog } from 'd3-scale';
import { line } from 'd3-shape';
import type { Point } from './smoothing.js';

export interface Series {
  label: string;
  /** Class of its lines. */
  name: string;
  colour: string;
  /** Values as they are, oldest first. */
  raw: Point[];
  /** Drawn strong over the raw values, which are faint then. */
  smooth?: Point[];
}

/** The chart's area in the SVG's units, its labels within. */
export interface Frame {
  left: number;
  right: number;
  top: number;
  bottom: number;
  /** About how many ticks each axis has. */
  ticks: { x: number; y: number };
}

type YScale = ScaleLinear<number, number> | ScaleLogarithmic<number, number>;

/** Points a drawn line has at most: beyond this they fall into one pixel. */
const MOST_POINTS = 600;
/** Up to so many points each has a dot of its own: a line through one point is not seen. */
const MOST_DOTS = 40;
/** Ratio of the largest to the smallest value from which the y axis is logarithmic. */
const LOG_FROM = 20;

/** An SVG document of the given size; `parts` are its elements. */
export function document(width: number, height: number, title: string, parts: readonly string[]): string {
  const size = `viewBox="0 0 ${width} ${height}" width="${width}" height="${height}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="system-ui, sans-serif" font-size="13" fill="#333">`,
    `<title>${title}</title>`,
    `<rect class="paper" width="${width}" height="${height}" fill="#fff"/>`,
    ...parts,
    '</svg>\n',
  ].join('\n');
}

/** Axes and lines of some series from step 0 to `lastStep`. Any number of series and points, none included. */
export function chart(frame: Frame, series: readonly Series[], lastStep: number): string[] {
  const x = scaleLinear([0, Math.max(1, lastStep)], [frame.left, frame.right]);
  const { y, ticks } = yAxis(frame, series);
  return [...drawRules(frame, y, ticks), ...drawSteps(frame, x), ...drawLines(series, x, y)];
}

/** Of many points, evenly spread ones with the last of them. */
export function thinned<T>(points: readonly T[]): T[] {
  const every = Math.ceil(points.length / MOST_POINTS);
  return points.filter((_, i) => (points.length - 1 - i) % every === 0);
}

/** A value in three digits. */
export const short = (value: number): string => String(Number(value.toPrecision(3)));

function yAxis({ top, bottom, ticks }: Frame, series: readonly Series[]): { y: YScale; ticks: number[] } {
  const values = series.flatMap(({ raw, smooth = [] }) => [...raw, ...smooth].map(([, value]) => value));
  const low = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const high = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  // Below the normal numbers, powers of ten round to zero.
  if (low > 1e-300 && high / low > LOG_FROM) {
    const y = scaleLog([low, high], [bottom, top]).nice();
    return { y, ticks: logTicks(y.domain()) };
  }
  const from = Math.min(0, values.length === 0 ? 0 : low);
  // Ticks cannot be told apart on an axis of no length.
  const to = high - from > 1e-300 ? high : from + 1;
  const y = scaleLinear([from, to], [bottom, top]).nice(ticks.y);
  return { y, ticks: y.ticks(ticks.y) };
}

/** 1, 2 and 5 times the powers of ten; of many decades the powers alone. */
function logTicks([low = 1, high = 1]: readonly number[]): number[] {
  const [first, last] = [Math.round(Math.log10(low)), Math.round(Math.log10(high))];
  const factors = last - first > 3 ? [1] : [1, 2, 5];
  const powers = Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i));
  return powers
    .flatMap((power) => factors.map((factor) => factor * power))
    .filter((tick) => tick <= high * 1.001);
}

function drawRules({ left, right }: Frame, y: YScale, ticks: readonly number[]): string[] {
  return ticks.flatMap((tick) => {
    const at = round(y(tick));
    return [
      `<path class="rule" d="M${left} ${at}H${right}" stroke="#e4e4e4"/>`,
      `<text x="${left - 10}" y="${at + 4}" text-anchor="end">${short(tick)}</text>`,
    ];
  });
}

function drawSteps(
  { left, right, bottom, ticks: { x: count } }: Frame,
  x: ScaleLinear<number, number>,
): string[] {
  const ticks = x.ticks(count).filter(Number.isInteger);
  const format = x.tickFormat(count, ',d');
  return [
    `<path class="axis" d="M${left} ${bottom}H${right}" stroke="#999"/>`,
    ...ticks.flatMap((tick) => [
      `<path class="axis" d="M${round(x(tick))} ${bottom}v5" stroke="#999"/>`,
      `<text x="${round(x(tick))}" y="${bottom + 21}" text-anchor="middle">${format(tick)}</text>`,
    ]),
  ];
}

/** Faint lines first, so that none covers a strong one. */
function drawLines(series: readonly Series[], x: ScaleLinear<number, number>, y: YScale): string[] {
  const path = line<Point>(
    ([step]) => round(x(step)),
    ([, value]) => round(y(value)),
  );
  const strong = 'stroke-width="2" stroke-linejoin="round"';
  const draw = (points: readonly Point[], { name, colour }: Series, style: string) =>
    `<path class="${name}" d="${path(thinned(points)) ?? ''}" fill="none" stroke="${colour}" ${style}/>`;
  return [
    ...series.flatMap((one) => (one.smooth ? [draw(one.raw, one, 'stroke-opacity="0.25"')] : [])),
    ...series.map((one) => draw(one.smooth ?? one.raw, one, strong)),
    ...series.flatMap(({ raw, smooth = raw, name, colour }) =>
      smooth.length > MOST_DOTS
        ? []
        : smooth.map(
            ([step, value]) =>
              `<circle class="${name}" cx="${round(x(step))}" cy="${round(y(value))}" r="2.5" fill="${colour}"/>`,
          ),
    ),
  ];
}

const round = (value: number) => Math.round(value * 10) / 10;
