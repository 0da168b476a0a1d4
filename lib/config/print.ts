/** Resolved settings as text that says where each value comes from. */
import { Document, isCollection } from 'yaml';
import { fields } from './fields.js';
import type { Origin, ResolvedConfig } from './resolve.js';
import type { ConfigKey } from './schema.js';

/** What to call the layer of flags or API options, whose source is empty, at a key: "flag --steps". */
export type NameOfGiven = (key: ConfigKey) => string;

/** Column at which the comments begin; longer values push theirs to the right. */
const COMMENT_COLUMN = 32;

/**
 * YAML with a comment on every line: a config file that gives the same settings again. Keys without a value stand in
 * it as comments.
 */
export function configAsYaml({ config, origins }: ResolvedConfig, nameOfGiven: NameOfGiven): string {
  const lines: string[] = [];
  let heading = '';
  for (const { key, group, default: absent } of fields) {
    if (group !== heading) lines.push(...(lines.length > 0 ? [''] : []), `# ${group}`);
    heading = group;
    const origin = origins.get(key);
    const line = origin === undefined ? `# ${key}:` : entry(key, config[key]);
    const comment = origin === undefined ? absent : describe(key, origin, nameOfGiven);
    lines.push(`${line.padEnd(COMMENT_COLUMN)} # ${oneLine(comment)}`);
  }
  return `${lines.join('\n')}\n`;
}

/** `{ key: { value, source } }`, source as in the comments; keys without a value are left out. */
export function configAsJson(
  { config, origins }: ResolvedConfig,
  nameOfGiven: NameOfGiven,
): Record<string, { value: unknown; source: string }> {
  const entries = [...origins].map(([key, origin]) => [
    key,
    { value: config[key], source: describe(key, origin, nameOfGiven) },
  ]);
  return Object.fromEntries(entries);
}

function describe(key: ConfigKey, origin: Origin, nameOfGiven: NameOfGiven): string {
  if (origin.kind === 'default') return 'default';
  if (origin.kind === 'derived') return `derived from ${origin.from}`;
  return origin.source === '' ? nameOfGiven(key) : origin.source;
}

/** `key: value` in one line, whatever the value. */
function entry(key: ConfigKey, value: unknown): string {
  const document = new Document({ [key]: value });
  const node = document.get(key);
  if (isCollection(node)) node.flow = true;
  return document.toString({ lineWidth: 0, blockQuote: false, flowCollectionPadding: false }).trimEnd();
}

const oneLine = (text: string): string => text.replace(/\s+/g, ' ');
