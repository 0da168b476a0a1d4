/** From an image size to the shape of both networks (spec section 1), and the rules that shape must keep. */
import { ConfigError } from '../errors.js';

/** The keys that are worked out when a config leaves them open. */
export interface Architecture {
  /** Seven channel counts; of neighbours one divides the other. */
  widths: number[];
  /** Six strides of 1 or 2. */
  strides: (1 | 2)[];
  latentChannels: number;
  /** imageSize divided by the product of the strides. */
  latentSize: number;
}

export interface ArchitectureInput extends Partial<Architecture> {
  imageSize: number;
  baseWidth: number;
  maxWidth: number;
}

/** What each key is worked out from when it is left open. */
export const DERIVED_FROM: Readonly<Record<keyof Architecture, string>> = {
  widths: 'baseWidth and maxWidth',
  strides: 'imageSize',
  latentChannels: 'latentSize',
  latentSize: 'imageSize',
};

const MODULES = 6;
/** Numbers in a latent that the derivation aims at, and the fewest channels it gives. */
const LATENT_NUMBERS = 64;
const MIN_LATENT_CHANNELS = 4;

/** Fills in what is open and checks the whole. Throws ConfigError naming both keys that disagree. */
export function deriveArchitecture(input: ArchitectureInput): Architecture {
  const { imageSize } = input;
  const strides = input.strides ?? deriveStrides(imageSize, input.latentSize);
  const scale = product(strides);
  const latentSize = input.latentSize ?? imageSize / scale;
  if (latentSize * scale !== imageSize || !Number.isInteger(latentSize)) {
    const given = input.latentSize === undefined ? '' : ` and latentSize = ${latentSize}`;
    const needed = given
      ? `latentSize × their product is ${latentSize * scale}`
      : `${imageSize} is no multiple of ${scale}`;
    throw new ConfigError(
      `imageSize = ${imageSize} does not agree with strides = ${strides.join(',')}${given}: ${needed}`,
      { field: 'imageSize', value: imageSize },
    );
  }
  const latentChannels =
    input.latentChannels ?? Math.max(MIN_LATENT_CHANNELS, Math.round(LATENT_NUMBERS / latentSize ** 2));
  const widths = input.widths ?? deriveWidths(input, strides);
  checkWidths(widths);
  return { widths, strides, latentChannels, latentSize };
}

/** Halve as often as the size and the six modules allow; modules without a stride come first, where they are cheap. */
function deriveStrides(imageSize: number, latentSize: number | undefined): (1 | 2)[] {
  let halvings = 0;
  if (latentSize === undefined) {
    while (halvings < MODULES && imageSize % 2 ** (halvings + 1) === 0) halvings++;
  } else {
    halvings = Math.log2(imageSize / latentSize);
    if (!Number.isInteger(halvings) || halvings < 0 || halvings > MODULES) {
      throw new ConfigError(
        `imageSize = ${imageSize} cannot be reached from latentSize = ${latentSize}: imageSize must be latentSize × 1, 2, 4, 8, 16, 32 or 64`,
        { field: 'latentSize', value: latentSize },
      );
    }
  }
  return Array.from({ length: MODULES }, (_, module) => (module < MODULES - halvings ? 1 : 2));
}

/** Twice the channels at half the resolution, up to maxWidth; powers of two times baseWidth, so neighbours divide. */
function deriveWidths({ baseWidth, maxWidth }: ArchitectureInput, strides: readonly number[]): number[] {
  if (baseWidth > maxWidth) {
    throw new ConfigError(`baseWidth = ${baseWidth} is larger than maxWidth = ${maxWidth}`, {
      field: 'baseWidth',
      value: baseWidth,
    });
  }
  return Array.from({ length: MODULES + 1 }, (_, boundary) => {
    let width = baseWidth;
    for (const stride of strides.slice(boundary)) if (width * stride <= maxWidth) width *= stride;
    return width;
  });
}

function checkWidths(widths: readonly number[]): void {
  for (let i = 0; i + 1 < widths.length; i++) {
    const [a, b] = [widths[i] as number, widths[i + 1] as number];
    if (a % b !== 0 && b % a !== 0) {
      throw new ConfigError(`widths[${i}] = ${a} and widths[${i + 1}] = ${b}: one must divide the other`, {
        field: `widths[${i}]`,
        value: widths,
      });
    }
  }
}

const product = (numbers: readonly number[]): number => numbers.reduce((a, b) => a * b, 1);
