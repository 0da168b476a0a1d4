import { readFile } from 'node:fs/promises';
import { parseDocument } from 'yaml';
import { ConfigError } from '../errors.js';
import { fileErrorReason } from '../files.js';
import type { ConfigLayer } from './resolve.js';

/** Names the schema to an editor; not a setting. */
const SCHEMA_KEY = '$schema';

/**
 * Reads a config file, YAML or JSON: one flat map of config keys, beside which `$schema` may stand. The keys and
 * values themselves are checked by resolveConfig. Throws ConfigError when the file cannot be read or is not such a map.
 */
export async function readConfigFile(path: string): Promise<ConfigLayer> {
  const fail = (reason: string) =>
    new ConfigError(`config file ${path} ${reason}`, { path, field: 'config' });
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw fail(`cannot be read: ${fileErrorReason(error)}`);
  }
  const document = parseDocument(text, { prettyErrors: true });
  const [syntax] = document.errors;
  if (syntax) throw fail(`is not YAML or JSON: ${firstLine(syntax)}`);
  let values: unknown;
  try {
    values = document.toJS() ?? {};
  } catch (error) {
    // Aliases are followed only here: too many of them, or one to nothing.
    throw fail(`cannot be understood: ${firstLine(error as Error)}`);
  }
  if (typeof values !== 'object' || values === null || Array.isArray(values)) {
    throw fail('must be a map of config keys to values, such as "imageSize: 32"');
  }
  const { [SCHEMA_KEY]: _, ...settings } = values as Record<string, unknown>;
  return { source: path, values: settings };
}

/** Of a message of yaml's; what it points to comes in the lines after it. */
const firstLine = ({ message }: Error): string => (message.split('\n')[0] ?? '').replace(/:$/, '');
