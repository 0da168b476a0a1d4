/** A word about image sizes of few factors of two, or above 512, whose derived latents are huge. */
import { type Architecture, deriveArchitecture } from './architecture.js';
import type { ResolvedConfig } from './resolve.js';

/** Numbers in a derived latent that need no word: four times what is aimed at. */
const MANY = 256;
/** Image sizes that are proposed are multiples of this. */
const STEP = 16;
const LARGEST = 1024;

/** A warning where the settings leave the latent open and its size comes out far from what is aimed at. */
export function latentNote({ config, origins }: ResolvedConfig): string | undefined {
  const open = (['strides', 'latentChannels', 'latentSize'] as const).every(
    (key) => origins.get(key)?.kind === 'derived',
  );
  if (!open || numbersOf(config) <= MANY) return undefined;
  const { imageSize, latentChannels: channels, latentSize: size } = config;
  const shape = `${channels}×${size}×${size} = ${numbersOf(config).toLocaleString('en-US')} numbers`;
  const near = nearestGood(imageSize).join(' and ');
  const why = config.strides.includes(1)
    ? 'has few factors of two'
    : 'is large, and the six modules halve it six times';
  return `imageSize = ${imageSize} ${why}: each latent has ${shape}, not about 64, and steps take longer; nearest with a small latent: ${near}`;
}

/** The next sizes below and above whose latents are small. */
function nearestGood(imageSize: number): number[] {
  // Widths have no part in it, and the run's need not be derived.
  const good = (size: number) =>
    numbersOf(deriveArchitecture({ imageSize: size, baseWidth: 1, maxWidth: 1 })) <= MANY;
  const sizes = Array.from({ length: LARGEST / STEP }, (_, i) => (i + 1) * STEP).filter(good);
  const [below, above] = [sizes.filter((size) => size < imageSize), sizes.filter((size) => size > imageSize)];
  return [...below.slice(-1), ...above.slice(0, 1)];
}

const numbersOf = ({ latentChannels, latentSize }: Architecture): number => latentChannels * latentSize ** 2;
