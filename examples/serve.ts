/**
 * A service that draws: GET /SEED.png or /SEED.webp, with ?count=4 so many below each other. It goes over to the newer
 * checkpoints of a run that still trains, turns requests away when too many wait, and ends in order on SIGTERM.
 *
 *     npm run build && node dist/examples/serve.js RUN_FOLDER [PORT]
 */
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { basename, dirname } from 'node:path';
import { setInterval } from 'node:timers/promises';
import { type ImageBatch, San } from 'san-native';
import sharp from 'sharp';

const [run = 'runs/photos', port = '8080'] = process.argv.slice(2);

/** More than these would only wait. */
const MOST_AT_WORK = 32;
const MOST_IMAGES = 64;
const RELOAD_MS = 10_000;

let san = await San.load(run);
let atWork = 0;
let turn: Promise<unknown> = Promise.resolve();

/** A process draws for one call after the other anyway; one that waits here, for a client that goes, is never begun. */
function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const result = turn.then(work);
  turn = result.catch(() => {});
  return result;
}

async function answer(url: string, response: ServerResponse): Promise<void> {
  const [, seed, format, many = '1'] = /^\/(\d{1,15})\.(png|webp)(?:\?count=(\d+))?$/.exec(url) ?? [];
  const count = Number(many);
  if (seed === undefined) return say(response, 404, 'try /7.png?count=4');
  if (count < 1 || count > MOST_IMAGES) return say(response, 400, `count goes from 1 to ${MOST_IMAGES}`);
  if (atWork >= MOST_AT_WORK) return say(response.setHeader('Retry-After', 1), 503, 'ask again later');
  // A client that has gone needs no picture.
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  atWork++;
  try {
    const set = { seed: Number(seed), count, signal: gone.signal };
    const images = await inTurn(() => san.generate(set));
    const body = await encode(images, format as 'png' | 'webp');
    response.setHeader('Content-Type', `image/${format}`).end(body);
  } catch (error) {
    if (gone.signal.aborted) return;
    console.error(error);
    say(response, 500, 'the image could not be drawn');
  } finally {
    atWork--;
  }
}

function say(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain' }).end(`${text}\n`);
}

/** The images below each other, as one file. */
function encode({ data, shape }: ImageBatch, format: 'png' | 'webp'): Promise<Buffer> {
  const [count, height, width, channels] = shape;
  const raw = { width, height: count * height, channels: channels as 1 | 3 };
  return sharp(data, { raw }).toFormat(format).toBuffer();
}

/** What is being drawn comes from the old checkpoint: dispose() waits for it. */
async function reload(): Promise<void> {
  const names = (await readdir(dirname(san.path))).filter((name) => name.endsWith('.safetensors'));
  if ((names.sort().at(-1) ?? '') <= basename(san.path)) return;
  const old = san;
  san = await San.load(run);
  await old.dispose();
}

const ending = new AbortController();
async function reloadNowAndThen(): Promise<void> {
  for await (const _ of setInterval(RELOAD_MS, undefined, ending)) await reload().catch(console.error);
}
const reloading = reloadNowAndThen().catch(() => {});

const server = createServer((request, response) => void answer(request.url ?? '', response));
server.listen(Number(port), () => console.log(`http://localhost:${port}/7.png?count=4`));

await once(process, 'SIGTERM');
// Requests under way are answered.
server.close();
ending.abort();
await Promise.all([once(server, 'close'), reloading]);
await san.dispose();
