/** report.html: one page that tells how a run goes, and needs nothing but itself. */
import type { Config } from '../../config/schema.js';
import { duration } from '../../setup/progress.js';
import type { Session } from '../environment.js';
import { complaints, type Looks } from '../looks.js';
import { lossPanels } from '../loss-curve.js';
import type { LossPoint } from '../loss-history.js';
import { type MetricPoint, metricPanels } from '../metric-curves.js';
import { overfitting } from '../overfitting.js';
import { type Panel, panelDocument } from '../panel.js';
import type { EndTick } from '../ticks.js';
import { environmentSection, settingsSection } from './details.js';
import { Html, html } from './html.js';
import { STYLE } from './style.js';
import type { PagePicture, StepPicture } from './thumbnails.js';

export interface ReportState {
  step: number;
  /** Real images seen, repetitions counted. */
  images: number;
  seconds: number;
  imagesPerSecond: number;
  /** Steps that changed nothing, for something in them was not finite. */
  skipped: number;
  /** Warnings of this session, oldest first, one line each. */
  warnings: readonly string[];
  /** Absent while training goes on. */
  stopped?: EndTick['stopped'] | undefined;
}

export interface ReportPictures {
  real?: PagePicture | undefined;
  samples?: PagePicture | undefined;
  reconstructions?: PagePicture | undefined;
  interpolation?: PagePicture | undefined;
  /** Sample grids of several steps, oldest first. */
  course: readonly StepPicture[];
}

export interface ReportContent {
  /** What the run is called. */
  name: string;
  writtenAt: Date;
  state: ReportState;
  losses: readonly LossPoint[];
  metrics: readonly MetricPoint[];
  /** Of the generated images that are shown. */
  looks?: Looks | undefined;
  pictures: ReportPictures;
  config: Config;
  /** Oldest first. */
  sessions: readonly Session[];
}

/** Nothing may be loaded from anywhere: an image in a file name stays text. */
const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

const STATES: Record<EndTick['stopped'], string> = {
  finished: 'finished',
  aborted: 'stopped by the user',
  images: 'ended at its number of images',
  time: 'ended at its time limit',
  targets: 'ended at its targets',
  plateau: 'ended on a plateau',
};

/** The whole page. */
export function renderReport(content: ReportContent): string {
  const { name, config, sessions } = content;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${name} – san-native</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<main>
${header(content)}
${comparison(content)}
${curves(content)}
${course(content.pictures.course)}
${settingsSection(config)}
${environmentSection(sessions)}
</main>
</body>
</html>
`;
  return page.text;
}

function header({ name, state, config, writtenAt }: ReportContent): Html {
  const { step, images, seconds, imagesPerSecond, skipped, warnings, stopped } = state;
  const what = stopped === undefined ? 'training' : STATES[stopped];
  const facts: [string, string][] = [
    ['Step', `${grouped(step)} of ${grouped(config.steps)}`],
    ['Images seen', grouped(images)],
    ['Time', duration(seconds)],
    ['Images per second', imagesPerSecond.toFixed(imagesPerSecond < 10 ? 1 : 0)],
    ['Skipped steps', grouped(skipped)],
  ];
  const written = writtenAt.toISOString().replace('T', ' ').slice(0, 19);
  return html`<header>
<h1>${name}</h1>
<p class="soft">${what} · written ${written} UTC</p>
<progress max="${config.steps}" value="${step}"></progress>
<dl class="facts">${facts.map(([term, value]) => html`<div><dt>${term}</dt><dd>${value}</dd></div>`)}</dl>
${skipped === 0 ? undefined : html`<p class="warning">Steps skipped, for a loss or gradient was not finite: ${grouped(skipped)}.</p>`}
${warnings.length === 0 ? undefined : html`<div class="warning">Warnings: ${warnings.length}${warnings.slice(-3).map((text) => html`<br>${text}`)}</div>`}
</header>`;
}

/** What is to be compared stands side by side, at one scale. */
/** What of the generated images can be said in numbers. */
function numbers({ looks, state: { step }, config: { steps } }: ReportContent): Html | undefined {
  if (looks === undefined) return undefined;
  const { diversity, sharpness } = looks;
  return html`<p>Of training images' 1.00 the generated ones have ${diversity.toFixed(2)} in diversity (far below 1: mode collapse) and ${sharpness.toFixed(2)} in sharpness (far below 1: blur; far above: noise).</p>
${complaints(looks, step, steps).map(({ message }) => html`<p class="warning">At ${message}.</p>`)}`;
}

function comparison(content: ReportContent): Html {
  const {
    pictures,
    state: { step },
  } = content;
  const { real, samples, reconstructions, interpolation } = pictures;
  const at = `step ${grouped(step)}`;
  return html`<h2>Real and generated</h2>
<p class="soft">Generated images that repeat each other where the real ones differ are a sign of mode collapse; soft edges next to sharp real ones are blur.</p>
${numbers(content)}
<div class="pair">
${figure(real, 'Training images', 'Training images')}
${figure(samples, 'Generated images', `Generated, ${at}: the same latents each time`)}
</div>
<h2>Reconstructions and interpolations</h2>
<div class="pair">
${figure(reconstructions, 'Reconstructions', `Training images, each row over what the networks make of it, ${at}`)}
${figure(interpolation, 'Interpolations', `From one latent to another, a row each, ${at}`)}
</div>`;
}

function curves({ losses, metrics, config, state: { step } }: ReportContent): Html {
  const panels = lossPanels(losses);
  const measured = metricPanels(metrics);
  const lastStep = losses.at(-1)?.step ?? 1;
  return html`<h2>Losses</h2>
<p class="soft">Over the steps: the values faint, their local average strong.</p>
${overfitting(losses, config, step).map(({ message }) => html`<p class="warning">At ${message}.</p>`)}
${drawn(panels, lastStep)}
${measured.length === 0 ? undefined : html`<h2>Metrics</h2>${drawn(measured, Math.max(lastStep, metrics.at(-1)?.step ?? 1))}`}`;
}

const drawn = (panels: readonly Panel[], lastStep: number): Html =>
  html`<div class="panels">${panels.map((panel) => html`<figure>${new Html(panelDocument(panel, lastStep))}</figure>`)}</div>`;

/** Without scripts the slider is of no use, and hidden; the strip shows the same. */
function course(pictures: readonly StepPicture[]): Html | undefined {
  const last = pictures.at(-1);
  if (last === undefined || pictures.length < 2) return undefined;
  return html`<h2>Over time</h2>
<figure class="film" id="film" hidden>
<img width="${last.width}" height="${last.height}" alt="Generated images over time">
<input type="range" min="0" max="${pictures.length - 1}" value="${pictures.length - 1}" aria-label="Step">
<figcaption></figcaption>
</figure>
<div class="strip" id="strip">${pictures.map((picture) => figure(picture, `Generated images at step ${picture.step}`, `step ${grouped(picture.step)}`))}</div>
<script>${new Html(SLIDER)}</script>`;
}

const SLIDER = `
const film = document.getElementById('film');
const shots = document.querySelectorAll('#strip figure');
const slider = film.querySelector('input');
const show = () => {
  const shot = shots[slider.value];
  film.querySelector('img').src = shot.querySelector('img').src;
  film.querySelector('figcaption').textContent = shot.querySelector('figcaption').textContent;
};
slider.addEventListener('input', show);
show();
film.hidden = false;
`;

const figure = (picture: PagePicture | undefined, alt: string, caption: string): Html | undefined =>
  picture &&
  html`<figure><img src="${picture.uri}" width="${picture.width}" height="${picture.height}" alt="${alt}"><figcaption>${caption}</figcaption></figure>`;

const grouped = (value: number): string => value.toLocaleString('en-US');
