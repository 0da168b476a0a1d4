import { describe, expect, it } from 'vitest';
import { latentNote } from '../../../lib/config/latent-note.js';
import { resolveWithOrigins } from '../../../lib/config/resolve.js';
import { cli } from '../support/cli.js';

const noteOf = (values: Record<string, unknown>) => latentNote(resolveWithOrigins([{ source: '', values }]));

describe('a derived latent', () => {
  it.each([
    [50, 'has few factors of two', '4×25×25 = 2,500 numbers', '48 and 64'],
    [100, 'has few factors of two', '4×25×25 = 2,500 numbers', '96 and 112'],
    [33, 'has few factors of two', '4×33×33 = 4,356 numbers', '32 and 48'],
    [1024, 'is large, and the six modules halve it six times', '4×16×16 = 1,024 numbers', '512'],
  ])('at %i pixels is told to be large: it %s', (imageSize, why, shape, near) => {
    const note = noteOf({ imageSize });
    expect(note).toContain(`imageSize = ${imageSize} ${why}: each latent has ${shape}`);
    expect(note?.endsWith(`nearest with a small latent: ${near}`)).toBe(true);
  });

  it.each([
    ...[4, 16, 28, 32, 48, 64, 96, 128, 192, 256, 320, 448, 512].map((imageSize) => ({ imageSize })),
    { imageSize: 50, latentChannels: 4 },
    { imageSize: 50, strides: [1, 1, 1, 1, 1, 2] },
    { imageSize: 50, latentSize: 25 },
  ])('is nothing to speak of where it is small or was asked for: %j', (values) => {
    expect(noteOf(values)).toBeUndefined();
  });

  it('is told whatever the widths were not derived from', () => {
    const widths = [64, 64, 64, 64, 32, 16, 16];
    expect(noteOf({ imageSize: 100, widths, baseWidth: 200 })).toMatch(/: 96 and 112$/);
  });

  it('is told beside the settings, on stderr', async () => {
    const print = ['train', 'none', '--print-config', '--image-size', '50', '--json'];
    const { status, out, err } = await cli(...print);
    expect(status).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ latentSize: { value: 25 } });
    expect(err).toMatch(/^warning: imageSize = 50 has few factors of two: .*\n$/);
    expect((await cli(...print, '--quiet')).err).toBe('');
  });
});
