/** What is on an emoji, by Unicode: the labels of a set whose files are named by code points. */
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';

/** Unicode's groups of emoji, in its order but that skin tones are no emoji. */
export const EMOJI_KINDS = [
  'Smileys & Emotion',
  'People & Body',
  'Animals & Nature',
  'Food & Drink',
  'Travel & Places',
  'Activities',
  'Objects',
  'Symbols',
  'Flags',
] as const;
/** Emoji are spread over so many folds, an emoji's skin tones in one. */
const FOLDS = 8;

/** How a character is drawn, and the end of a flag's letters: some file names leave them out. */
const SILENT = new Set([0xfe0f, 0xe007f]);
const [FIRST_TONE, LAST_TONE] = [0x1f3fb, 0x1f3ff];

export interface EmojiLabel {
  /** In EMOJI_KINDS. */
  kind: number;
  /** 0 … 7. */
  fold: number;
}

/** By files' names, such as `1f44b-1f3fd.webp`. Throws RangeError for one that is no emoji. */
export function emojiLabels(files: readonly string[]): EmojiLabel[] {
  const groups = groupsByKey();
  return files.map((file) => {
    const [name = ''] = file.split('.');
    const key = keyOf(name.split(/[-_]/).map((code) => Number.parseInt(code, 16)));
    const kind = (EMOJI_KINDS as readonly (string | undefined)[]).indexOf(groups.get(key));
    if (kind === -1) throw new RangeError(`${file} is not named by the code points of an emoji`);
    return { kind, fold: (createHash('sha256').update(key).digest()[0] ?? 0) % FOLDS };
  });
}

function groupsByKey(): Map<string, string> {
  const all = createRequire(import.meta.url)('unicode-emoji-json/data-by-emoji.json') as Record<
    string,
    { group: string }
  >;
  return new Map(
    Object.entries(all).map(([emoji, { group }]) => [
      keyOf([...emoji].map((one) => one.codePointAt(0) ?? 0)),
      group,
    ]),
  );
}

/** The same for all skin tones and ways of writing. */
const keyOf = (codes: readonly number[]): string =>
  codes.filter((code) => !SILENT.has(code) && !(code >= FIRST_TONE && code <= LAST_TONE)).join('-');
