/** onnxruntime on the generator that `san-native export` writes: 8-bit images in memory. */
import { performance } from 'node:perf_hooks';
import { env, InferenceSession, Tensor } from 'onnxruntime-node';
import type { OpenContender } from '../worker.js';

const BATCHES = [16, 32, 64];

interface Options {
  /** Exported with pixels uint8. */
  model: string;
  threads: number;
  /** Of one latent. */
  shape: [number, number, number];
  /** Latents that are drawn once, so that images can be compared. */
  latents: number[];
}

export async function open(options: Record<string, unknown>): Promise<OpenContender> {
  const { model, threads, shape, latents } = options as unknown as Options;
  const session = await InferenceSession.create(model, { intraOpNumThreads: threads, interOpNumThreads: 1 });
  const size = shape.reduce((a, b) => a * b, 1);
  const draw = async (data: Float32Array): Promise<Uint8Array> => {
    const input = new Tensor('float32', data, [data.length / size, ...shape]);
    const { images } = await session.run({ latents: input });
    return images?.data as Uint8Array;
  };
  const noise = (count: number) => Float32Array.from({ length: count * size }, normal);
  const checked = await draw(Float32Array.from(latents));
  let batch = 0;
  let best = Number.POSITIVE_INFINITY;
  for (const candidate of BATCHES) {
    await draw(noise(candidate));
    const begin = performance.now();
    for (let i = 0; i < 2; i++) await draw(noise(candidate));
    const perImage = (performance.now() - begin) / candidate;
    if (perImage < best) [best, batch] = [perImage, candidate];
  }
  return {
    facts: { onnxruntime: env.versions.node, batch, images: Buffer.from(checked).toString('base64') },
    async round(items) {
      const begin = performance.now();
      let done = 0;
      for (; done < items; done += batch) await draw(noise(batch));
      return { seconds: (performance.now() - begin) / 1000, items: done };
    },
    close: () => session.release(),
  };
}

/** Box and Muller; what the numbers are does not matter here. */
const normal = (): number =>
  Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
