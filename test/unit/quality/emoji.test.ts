import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { EMOJI_KINDS, emojiLabels } from '../../../quality/emoji.js';

const kindsOf = (...files: string[]) => emojiLabels(files).map(({ kind }) => EMOJI_KINDS[kind]);

describe('emojiLabels', () => {
  it("tells Unicode's group", () => {
    expect(kindsOf('1f600.webp', '1f34e.webp', '1f1f8-1f1ea.webp', '0023-fe0f-20e3.webp')).toEqual([
      'Smileys & Emotion',
      'Food & Drink',
      'Flags',
      'Symbols',
    ]);
  });

  it('puts all skin tones of an emoji in one fold', () => {
    const labels = emojiLabels(['1f44b.webp', '1f44b-1f3fb.webp', '1f44b-1f3ff.webp']);
    expect(new Set(labels.map(({ fold }) => fold)).size).toBe(1);
    expect(labels.map(({ kind }) => EMOJI_KINDS[kind])).toEqual(Array(3).fill('People & Body'));
  });

  it('knows all files of the set, and spreads them over the folds', () => {
    const labels = emojiLabels(readdirSync('node_modules/@lobehub/fluent-emoji-3d/assets'));
    expect(new Set(labels.map(({ kind }) => kind)).size).toBe(EMOJI_KINDS.length);
    const tested = labels.filter(({ fold }) => fold === 0).length / labels.length;
    expect(tested).toBeGreaterThan(0.08);
    expect(tested).toBeLessThan(0.18);
  });

  it('refuses what is no emoji', () => {
    expect(() => emojiLabels(['holiday.webp'])).toThrow('holiday.webp');
  });
});
